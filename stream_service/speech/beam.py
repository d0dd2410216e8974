"""Beam search over a text decoder, with hints. Pure: the decoder is any object that scores next tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from stream_service.speech.hints import Hints, HintState
from stream_service.speech.vocabulary import END

M = TypeVar("M")


class TextDecoder(Protocol[M]):
    """Scores the next token of several hypotheses; ``M`` is what it remembers between steps."""

    def extend(self, memory: M, rows: Sequence[int], tokens: Sequence[int]) -> tuple[NDArray[np.float32], M]:
        """Continue hypothesis ``rows[i]`` by ``tokens[i]``; logits float32 ``[len(rows), vocabulary]``."""
        ...


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """``heard`` is the sum of the decoder's log probabilities; ``score`` adds what hints gained."""

    tokens: tuple[int, ...]
    heard: float
    score: float
    hint: HintState
    parent: int = 0

    @property
    def confidence(self) -> float:
        """Geometric mean of the decoder's token probabilities, the end included; hints have no part in it."""
        return float(np.exp(self.heard / (len(self.tokens) + 1)))


class BeamSearch(Generic[M]):
    """Finds the best scored text. ``width`` hypotheses are followed; ``hints`` bends the scores."""

    def __init__(self, decoder: TextDecoder[M], hints: Hints, width: int) -> None:
        self._decoder = decoder
        self._hints = hints
        self._width = width

    def run(self, logits: NDArray[np.float32], memory: M, longest: int) -> Hypothesis:
        """The best hypothesis of at most ``longest`` tokens, from the first step's logits ``[1, vocabulary]``.

        It stops as soon as no living hypothesis beats the best finished one; at ``longest`` tokens one that is not
        finished may be returned.
        """
        living = [Hypothesis((), 0.0, 0.0, self._hints.begin())]
        best: Hypothesis | None = None
        for _ in range(longest):
            finished, living = self._grow(living, logits)
            best = max((h for h in (best, *finished) if h is not None), key=_score, default=None)
            if not living or (best is not None and best.score >= living[0].score):
                break
            rows, tokens = [h.parent for h in living], [h.tokens[-1] for h in living]
            logits, memory = self._decoder.extend(memory, rows, tokens)
        return max(living if best is None else [best, *living], key=_score)

    def _grow(self, living: list[Hypothesis], logits: NDArray[np.float32]) -> tuple[list[Hypothesis], list[Hypothesis]]:
        """Every hypothesis' best continuations: those that ended, and the ``width`` best of the others."""
        candidates: list[tuple[float, int, int, float]] = []
        for row, (hypothesis, scores) in enumerate(zip(living, _log_softmax(logits), strict=True)):
            bent = scores + self._hints.gains(hypothesis.hint)
            # The end may take one place in each row, so that one more than the width is needed.
            best = np.argpartition(bent, -self._width - 1)[-self._width - 1 :].tolist()
            candidates += [(hypothesis.score + float(bent[t]), row, t, float(scores[t])) for t in best]
        candidates.sort(reverse=True)
        finished: list[Hypothesis] = []
        growing: list[Hypothesis] = []
        for score, row, token, heard in candidates:
            before = living[row]
            if token == END:
                finished.append(Hypothesis(before.tokens, before.heard + heard, score, before.hint, row))
            elif len(growing) < self._width:
                hint = self._hints.advance(before.hint, token)
                growing.append(Hypothesis((*before.tokens, token), before.heard + heard, score, hint, row))
        return finished, growing


def _score(hypothesis: Hypothesis) -> float:
    return hypothesis.score


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    scores: NDArray[np.float32] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return scores
