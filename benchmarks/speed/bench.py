"""What all measurements share: a model, a minute of stream, sessions, a question, a stopwatch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count, islice

import numpy as np

from benchmarks.quality.papers import media
from benchmarks.speed.fill import fill_quickly
from benchmarks.speed.floors import Costs, Rates, Work
from benchmarks.speed.seams import between_halves
from benchmarks.speed.shapes import SHAPES
from benchmarks.speed.stopwatch import Stopwatch, Times
from nano_omni.world import make_script
from pruner import Ask, Conversation, EncodedWindow, LiveModel, RawWindow, Turn
from pruner.encoder import HearingState, WindowEncoder
from pruner.families.mel import SAMPLE_RATE
from pruner.families.omni import OmniModel
from pruner.families.prompt import Prompt
from pruner.oneshot import Prompted, assemble
from pruner.policies import Everything

__all__ = ["WINDOWS", "Bench", "Row", "Setting"]

WINDOWS = 30
"""The minute."""
_SEED = 8_200_000
_QUESTION = "What did you see before the red circle?"
_QUESTION_TOKENS = 64
_TEXT_TOKENS = 100
"""All that is no picture and no sound in the minute's sequence: with 10,140 tokens of those, 10,240 in all."""


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of the result.

    Attributes:
        name: of the figure.
        value: the figure; times are medians, ratios have the unit "".
        low, high: the least and the greatest of `count` timings; None where nothing was timed repeatedly.
        floor: milliseconds below which no version of it runs (see `floors`); None where that says nothing.
        parts: what it consists of, in milliseconds, and whatever else explains it.
    """

    name: str
    value: float
    unit: str = "ms"
    low: float | None = None
    high: float | None = None
    count: int = 1
    floor: float | None = None
    parts: dict[str, float | str] = field(default_factory=dict)

    @classmethod
    def timed(cls, name: str, times: Times, *, floor: float | None = None, **parts: float | str) -> Row:
        """Of repeated timings."""
        return cls(name, times.median, "ms", times.low, times.high, times.count, floor, parts)


@dataclass(frozen=True, slots=True)
class Setting:
    """How a model is measured.

    Attributes:
        name: of the model, as `--model` names it.
        budget: audiovisual tokens of a session.
        repeats: how often each thing is timed.
        retention: of the one-shot form.
        sessions: how many at once, for each throughput that is measured.
        quick: whether long pasts are made without running the decoder (see `fill`).
    """

    name: str
    budget: int
    repeats: int
    retention: float
    sessions: tuple[int, ...]
    quick: bool


class Bench:
    """A model and a minute of stream: of the scene world for a trained model, of noise for a random one.

    Attributes:
        omni, live: the model, and as it serves conversations.
        shape: sizes of a random model; None for a checkpoint.
        question: 64 tokens for a random model.
        raw, patch: the minute's windows, and the second that is still to be encoded when somebody asks.
        rates: what the device reaches; measured first.
    """

    def __init__(self, omni: OmniModel, setting: Setting) -> None:
        self.setting, self.shape = setting, SHAPES.get(setting.name)
        self.omni, self.question = _fitted(omni) if self.shape else (omni, _QUESTION)
        self.live = LiveModel(self.omni)
        self.watch = Stopwatch(omni.stack.device, setting.repeats)
        self.costs = Costs(omni)
        self.rates: Rates | None = None
        self.raw = noise(omni, WINDOWS) if self.shape else media([make_script(_SEED, WINDOWS)], "cpu")[0]
        self.patch = _first_second(self.raw[0])

    @cached_property
    def encoded(self) -> list[EncodedWindow]:
        """The minute after the towers."""
        encoder, hearing = WindowEncoder(self.omni), HearingState()
        return [encoder.encode([(hearing, window)])[0] for window in self.raw]

    @cached_property
    def prompted(self) -> Prompted:
        """The minute and the question as one sequence, nothing pruned."""
        return assemble(self.omni, self.encoded, Everything().compress(self.encoded), self.question)

    def floor(self, work: Work) -> float | None:
        """Milliseconds that it takes at least; None as long as the rates are unknown."""
        return None if self.rates is None else work.floor_ms(self.rates)

    def stream(self, windows: int, *, first: int = 0) -> Iterator[EncodedWindow]:
        """Encoded windows of a session: the minute again and again, its time going on."""
        for number in islice(count(first), windows):
            yield replace(self.encoded[number % WINDOWS], start=2.0 * number)

    def open(self, windows: int = 0, *, quick: bool | None = None) -> Conversation:
        """A session at the budget with a past of some windows."""
        conversation = self.live.open(budget=self.setting.budget)
        if self.setting.quick if quick is None else quick:
            fill_quickly(conversation, self.stream(windows))
        else:
            for window in self.stream(windows):
                self.live.fuse([(conversation, window)])
        return conversation

    def ask(self, conversation: Conversation) -> dict[str, float]:
        """Milliseconds from a known question to its first token, by part; then everything is taken back.

        The last second is encoded and fused before: that is part of it. Whatever had to leave a full memory for it
        stays away.
        """
        before = conversation.here()
        laps = self.watch.laps()
        encoded = self.live.encode([(conversation, self.patch)])
        laps.mark("encode_ms")
        self.live.fuse([(conversation, encoded[0])])
        laps.mark("fuse_ms")
        with between_halves(self.live, lambda: laps.mark("question_ms")):
            turn = self.guide(conversation)
        laps.mark("guide_ms")
        self.live.step([turn])
        laps.mark("first_step_ms")
        spent = dict(laps.done())
        self.live.commit(turn, published=0)
        if conversation.store.epoch == before.mark.epoch:
            conversation.retract(before)
        return spent

    def guide(self, conversation: Conversation) -> Turn:
        """Ask the question."""
        return self.live.guide([Ask(conversation, self.question)])[0]


def noise(omni: OmniModel, windows: int, seed: int = 0) -> list[RawWindow]:
    """Windows of random pictures, at the size that the model sees, and random sound."""
    facts, draw = omni.facts, np.random.default_rng(seed)
    shape = (2 * facts.window_seconds, facts.height, facts.width, 3)
    length = SAMPLE_RATE * facts.window_seconds
    return [
        RawWindow(
            float(facts.window_seconds * number),
            draw.integers(0, 256, shape, dtype=np.uint8),
            0.1 * draw.standard_normal(length, dtype=np.float32),
        )
        for number in range(windows)
    ]


def _fitted(omni: OmniModel) -> tuple[OmniModel, str]:
    """The model with a system prompt that makes the minute's sequence as long as it is to be, and the question."""
    prompt, facts = omni.prompt, omni.facts
    segments = -(-WINDOWS // facts.segment_windows)
    others = len(prompt.system("")) + len(prompt.user) + 4 * segments + _QUESTION_TOKENS + len(prompt.header)
    omni.facts = replace(facts, system=words(prompt, _TEXT_TOKENS - others))
    return omni, words(prompt, _QUESTION_TOKENS)


def words(prompt: Prompt, tokens: int) -> str:
    """A text of so many tokens."""
    text = ""
    while len(prompt.question(text + " a")) <= tokens:
        text += " a"
    if len(prompt.question(text)) != tokens:
        raise ValueError(f"the tokenizer makes no text of {tokens} tokens out of letters")
    return text.strip() if len(prompt.question(text.strip())) == tokens else text


def _first_second(window: RawWindow) -> RawWindow:
    assert window.frames is not None
    assert window.samples is not None
    return replace(window, frames=window.frames[: len(window.frames) // 2], samples=window.samples[:SAMPLE_RATE])
