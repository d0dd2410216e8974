"""What all row modules share: a model, a minute of stream, a stopwatch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count, islice
from statistics import median

import torch

from benchmarks.quality.papers import media
from nano_omni.world import make_script
from pruner import Ask, Conversation, EncodedWindow, LiveModel, RawWindow, Turn
from pruner.encoder import HearingState, WindowEncoder
from pruner.families.mel import SAMPLE_RATE

_SEED = 8_200_000
WINDOWS = 30
"""The minute."""
QUESTION = "What did you see before the red circle?"


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of the result.

    Attributes:
        name: of the figure.
        value: the figure; ratios have the unit "".
        target: at most this (at least, for rates), where a target is set (design: performance).
        parts: times in milliseconds, and whatever else explains it.
    """

    name: str
    value: float
    unit: str = ""
    target: float | None = None
    parts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FirstToken:
    """Milliseconds from a known question to its first token, by part; the last patch of 1 s is among them."""

    encode: float
    fuse: float
    guide: float
    step: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.encode + self.fuse + self.guide + self.step


class Bench:
    """A model and a minute of the scene world.

    Args:
        model: what is measured.
        budget: audiovisual tokens of a session.
        repeats: how often each thing is timed; the median counts.
        minutes: ages of a session at which it is asked.
        retention: of the one-shot form.
    """

    def __init__(
        self, model: LiveModel, *, budget: int, repeats: int, minutes: tuple[int, ...], retention: float
    ) -> None:
        self.model, self.budget, self.repeats = model, budget, repeats
        self.minutes, self.retention = minutes, retention
        self.raw = media([make_script(_SEED, WINDOWS)], "cpu")[0]
        encoder, hearing = WindowEncoder(model.model), HearingState()
        self.encoded = [encoder.encode([(hearing, window)])[0] for window in self.raw]

    def ms(self, call: Callable[[], object]) -> float:
        """Milliseconds of one call, work that it left to the device included."""
        self._wait()
        began = time.perf_counter()
        call()
        self._wait()
        return 1e3 * (time.perf_counter() - began)

    def typical_ms(self, call: Callable[[], object]) -> float:
        """Median of the repeats, after one call that does not count."""
        call()
        return median(self.ms(call) for _ in range(self.repeats))

    def stream(self, windows: int, *, first: int = 0) -> Iterator[EncodedWindow]:
        """Encoded windows of a session: the minute again and again, its time going on."""
        for number in islice(count(first), windows):
            yield replace(self.encoded[number % WINDOWS], start=2.0 * number)

    def open(self, windows: int = 0) -> Conversation:
        """A session at the budget that has fused some windows."""
        conversation = self.model.open(budget=self.budget)
        self.feed(conversation, windows)
        return conversation

    def feed(self, conversation: Conversation, windows: int, *, first: int = 0) -> None:
        """Fuse further windows."""
        for window in self.stream(windows, first=first):
            self.model.fuse([(conversation, window)])

    def ask(self, conversation: Conversation) -> FirstToken:
        """Ask, with the last patch still to be encoded, and take the question back."""
        patch = _patch(self.raw[0])
        encoded: list[EncodedWindow] = []
        encode = self.ms(lambda: encoded.extend(self.model.encode([(conversation, patch)])))
        fuse = self.ms(lambda: self.model.fuse([(conversation, encoded[0])]))
        guide, turn = self.guide(conversation)
        step = self.ms(lambda: self.model.step([turn]))
        self.model.commit(turn, published=0)
        return FirstToken(encode, fuse, guide, step)

    def guide(self, conversation: Conversation) -> tuple[float, Turn]:
        """Milliseconds of guiding, and the turn."""
        turns: list[Turn] = []
        took = self.ms(lambda: turns.extend(self.model.guide([Ask(conversation, QUESTION)])))
        return took, turns[0]

    def typical_first_token(self, conversation: Conversation) -> FirstToken:
        """Median of each part, after one question that does not count."""
        self.ask(conversation)
        asked = [self.ask(conversation) for _ in range(self.repeats)]
        return FirstToken(*(median(getattr(one, name) for one in asked) for name in FirstToken.__slots__))

    def _wait(self) -> None:
        if self.model.model.stack.device.type == "cuda":
            torch.cuda.synchronize()


def _patch(window: RawWindow) -> RawWindow:
    """The first second of a window."""
    assert window.frames is not None
    assert window.samples is not None
    return replace(window, frames=window.frames[: len(window.frames) // 2], samples=window.samples[:SAMPLE_RATE])
