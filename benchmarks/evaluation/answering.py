"""A model that answers items: live, as a stream that is asked on the way, or one-shot with any policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Protocol

from benchmarks.evaluation.footage import Footage
from benchmarks.evaluation.questions import Item
from pruner import Ask, Conversation, EncodedWindow, LiveModel, RawWindow, TurnOptions
from pruner.encoder import HearingState, WindowEncoder
from pruner.oneshot import reply
from pruner.policies import Policy

__all__ = ["Live", "OneShot", "Watcher", "answers"]


class Watcher(Protocol):
    """Watches one file and answers questions about what it has seen so far; a question leaves no trace."""

    def begin(self) -> None:
        """A new file."""
        ...

    def see(self, window: RawWindow) -> None:
        """The next window."""
        ...

    def ask(self, question: str) -> str:
        """A reply."""
        ...


class Live:
    """OmniDrop live: windows are fused as they come; a question is taken back once it is answered."""

    def __init__(self, model: LiveModel, *, budget: int, options: TurnOptions) -> None:
        self._model, self._budget, self._options = model, budget, options
        self._conversation: Conversation | None = None

    def begin(self) -> None:
        """A new conversation."""
        if self._conversation is not None:
            self._conversation.close()
        self._conversation = self._model.open(budget=self._budget)

    def see(self, window: RawWindow) -> None:
        """Encodes and fuses."""
        assert self._conversation is not None, "a file was begun"
        (encoded,) = self._model.encode([(self._conversation, window)])
        self._model.fuse([(self._conversation, encoded)])

    def ask(self, question: str) -> str:
        """Guides and decodes, then takes the question back."""
        assert self._conversation is not None, "a file was begun"
        (turn,) = self._model.guide([Ask(self._conversation, question, self._options)])
        text = ""
        while True:
            (step,) = self._model.step([turn])
            text += step.text
            if step.done:
                self._model.commit(turn, published=0)
                return text


class OneShot:
    """The paper's setting: everything seen so far in one pass with the question."""

    def __init__(self, model: LiveModel, policy: Policy, *, tokens: int) -> None:
        self._model, self._policy, self._tokens = model, policy, tokens
        self._encoder = WindowEncoder(model.model)
        self._hearing = HearingState()
        self._windows: list[EncodedWindow] = []

    def begin(self) -> None:
        """Forgets the last file."""
        self._hearing, self._windows = HearingState(), []

    def see(self, window: RawWindow) -> None:
        """Encodes."""
        self._windows += self._encoder.encode([(self._hearing, window)])

    def ask(self, question: str) -> str:
        """One pass."""
        return reply(self._model.model, self._windows, question, self._policy, max_tokens=self._tokens).text


def answers(watcher: Watcher, items: Sequence[Item], *, height: int, width: int) -> Iterator[tuple[Item, str]]:
    """Items with their replies; those about one file are together and in the order of their times."""
    for video, asked in groupby(items, key=lambda item: item.video):
        yield from _about(watcher, video, list(asked), height, width)


def _about(watcher: Watcher, video: Path, items: Sequence[Item], height: int, width: int) -> Iterator[tuple[Item, str]]:
    footage = Footage(video, height, width)
    try:
        watcher.begin()
        for item in items:
            for window in footage.windows(item.until):
                watcher.see(window)
            yield item, watcher.ask(item.prompt)
    finally:
        footage.close()
