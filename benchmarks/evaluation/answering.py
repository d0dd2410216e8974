"""A model that answers items: live, as a stream that is asked on the way, or one-shot with any policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Protocol

from av.error import FFmpegError

from benchmarks.evaluation.files import FormatError
from benchmarks.evaluation.footage import Footage
from benchmarks.evaluation.questions import Item
from pruner import Ask, Conversation, EncodedWindow, LiveModel, RawWindow, ScheduleError, TurnOptions
from pruner.encoder import StreamState, WindowEncoder
from pruner.oneshot import reply
from pruner.policies import make

__all__ = ["Live", "OneShot", "Said", "Watcher", "answers"]


@dataclass(frozen=True, slots=True)
class Said:
    """A reply; `clipped` where so short a clip could not be pruned to the retention asked for, but only near it."""

    text: str
    clipped: bool


class Watcher(Protocol):
    """Watches one file and answers questions about what it has seen so far; a question leaves no trace."""

    def begin(self) -> None:
        """A new file."""
        ...

    def see(self, window: RawWindow) -> None:
        """The next window."""
        ...

    def ask(self, question: str) -> Said:
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

    def ask(self, question: str) -> Said:
        """Guides and decodes, then takes the question back."""
        try:
            return Said(self._reply(question, self._options), clipped=False)
        except ScheduleError as error:
            near = replace(self._options, retention=_nearest(error))
            return Said(self._reply(question, near), clipped=True)

    def _reply(self, question: str, options: TurnOptions) -> str:
        assert self._conversation is not None, "a file was begun"
        (turn,) = self._model.guide([Ask(self._conversation, question, options)])
        text = ""
        while True:
            (step,) = self._model.step([turn])
            text += step.text
            if step.done:
                self._model.commit(turn, published=0)
                return text


class OneShot:
    """The paper's setting: everything seen so far in one pass with the question."""

    def __init__(self, model: LiveModel, policy: str, retention: float, *, tokens: int) -> None:
        self._model, self._policy, self._retention, self._tokens = model, policy, retention, tokens
        self._encoder = WindowEncoder(model.model)
        self._stream = StreamState()
        self._windows: list[EncodedWindow] = []

    def begin(self) -> None:
        """Forgets the last file."""
        self._stream, self._windows = StreamState(), []

    def see(self, window: RawWindow) -> None:
        """Encodes."""
        self._windows += self._encoder.encode([(self._stream, window)])

    def ask(self, question: str) -> Said:
        """One pass."""
        try:
            return Said(self._reply(question, self._retention), clipped=False)
        except ScheduleError as error:
            return Said(self._reply(question, _nearest(error)), clipped=True)

    def _reply(self, question: str, retention: float) -> str:
        policy = make(self._policy, retention, self._model.facts.layers)
        return reply(self._model.model, self._windows, question, policy, max_tokens=self._tokens).text


def _nearest(error: ScheduleError) -> float:
    low, high = error.reachable
    return min(max(error.target, low), high)


def answers(watcher: Watcher, items: Sequence[Item], *, height: int, width: int) -> Iterator[tuple[Item, Said]]:
    """Items with their replies; those about one file are together and in the order of their times.

    Raises:
        FormatError: a file cannot be decoded; names it.
    """
    for video, asked in groupby(items, key=lambda item: item.video):
        try:
            yield from _about(watcher, video, list(asked), height, width)
        except FFmpegError as error:
            raise FormatError(f"{video} cannot be decoded ({error.strerror}): fetch it again, and go on") from error


def _about(
    watcher: Watcher, video: Path, items: Sequence[Item], height: int, width: int
) -> Iterator[tuple[Item, Said]]:
    footage = Footage(video, height, width)
    try:
        watcher.begin()
        for item in items:
            for window in footage.windows(item.until):
                watcher.see(window)
            yield item, watcher.ask(item.prompt)
    finally:
        footage.close()
