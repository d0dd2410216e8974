"""Contextual biasing: words that questions are likely to contain, preferred when the recogniser is unsure.

The small recogniser hears "jeeps" or "the rad square" where a person asks about beeps and a red square. Speech services
solve this by hints; here they are a trie over the recogniser's tokens that the beam search walks along (shallow fusion,
Zhao et al., "Shallow-Fusion End-to-End Contextual Biasing", Interspeech 2019): each token that continues a hint gains a
fixed number of nats, and gives the gain back when the word turns out to be another one. A hint is a word, never a
question: what is asked stays the recogniser's finding.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stream_service.speech.vocabulary import Vocabulary


def _split(words: str) -> tuple[str, ...]:
    return tuple(words.split())


SCENE_WORDS: tuple[str, ...] = _split(
    """
    red orange yellow green blue purple violet pink white black brown grey gray cyan
    circle circles square squares triangle triangles star stars diamond diamonds cross crosses ring rings heart hexagon
    shape shapes colour colours color colors object objects thing things
    beep beeps bell bells buzz chirp chirps siren sirens knock knocks noise horn horns sound sounds
    left right top bottom centre center middle corner screen stream scene picture background
    hear heard see seen visible show shown moving still size big small large
    last first before after happened rang played
    you did is was the there when while way time times
    """
)
"""Words that people use to ask what a camera sees and a microphone hears, with the little ones that join them."""
OPENERS: tuple[str, ...] = _split(
    """
    what which where when who why how is are was were do did does has have can could describe tell list name count
    """
)
"""Words that an English question or request begins with; hints for the first word only."""


@dataclass(slots=True)
class _Node:
    """A prefix of hints: which tokens continue it, and whether it is a whole hint already."""

    children: dict[int, _Node] = field(default_factory=dict)
    whole: bool = False
    ids: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def freeze(self) -> None:
        self.ids = np.fromiter(self.children, dtype=np.int64, count=len(self.children))
        for child in self.children.values():
            child.freeze()


@dataclass(frozen=True, slots=True)
class HintState:
    """Where a hypothesis stands: inside which hint, and what it gained for it so far."""

    node: _Node
    gained: float = 0.0


class Hints:
    """The hints as a trie. Immutable once built: one serves every worker.

    ``boost`` is in nats a token.
    """

    def __init__(self, vocabulary: Vocabulary, words: Iterable[str], boost: float) -> None:
        self.boost = boost
        self._breaks = vocabulary.breaks
        words = tuple(words)
        self._anywhere = self._grow(vocabulary, words)
        self._opening = self._grow(vocabulary, (*words, *OPENERS) if words else ())

    def begin(self) -> HintState:
        """The state before the first token."""
        return HintState(self._opening)

    def gains(self, state: HintState) -> NDArray[np.float32]:
        """What each possible next token would gain or give back, float32 ``[vocabulary]``, in nats."""
        node, refund = state.node, state.gained
        if node.whole:
            gains = np.where(self._breaks, np.float32(0), np.float32(-refund))
        else:
            gains = np.full(len(self._breaks), -refund, dtype=np.float32)
        gains[self._anywhere.ids] += self.boost
        gains[node.ids] = self.boost
        return gains

    def advance(self, state: HintState, token: int) -> HintState:
        """The state after ``token`` was chosen."""
        if token in state.node.children:
            return HintState(state.node.children[token], state.gained + self.boost)
        if token in self._anywhere.children:
            return HintState(self._anywhere.children[token], self.boost)
        return HintState(self._anywhere)

    @staticmethod
    def _grow(vocabulary: Vocabulary, words: Iterable[str]) -> _Node:
        root = _Node()
        for word in words:
            for spelling in {word, word.capitalize()}:
                node = root
                for token in vocabulary.encode(spelling):
                    node = node.children.setdefault(token, _Node())
                node.whole = True
        root.freeze()
        return root
