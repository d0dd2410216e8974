"""What all measurements share: a model, a minute of stream, a question, a stopwatch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np

from benchmarks.quality.papers import media
from benchmarks.speed.floors import Costs, Rates, Work
from benchmarks.speed.served import Served
from benchmarks.speed.shapes import SHAPES
from benchmarks.speed.stopwatch import Stopwatch, Times
from nano_omni.world import make_script
from pruner import EncodedWindow, LiveModel, LiveOptions, RawWindow
from pruner.encoder import StreamState, WindowEncoder
from pruner.families.mel import SAMPLE_RATE
from pruner.families.omni import OmniModel
from pruner.families.prompt import Prompt
from pruner.oneshot import Prompted, assemble
from pruner.policies import Everything

__all__ = ["WINDOWS", "Bench", "Graphs", "Row", "Setting", "noise", "words"]

WINDOWS = 30
"""The minute."""
Graphs = Literal["auto", "on", "off"]

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
        graphs: each a `LiveOptions.graphs`; rows of the first have targets, the others stand beside them.
    """

    name: str
    budget: int
    repeats: int
    retention: float
    sessions: tuple[int, ...]
    quick: bool
    graphs: tuple[Graphs, ...] = ("auto",)


class Bench:
    """A model and a minute of stream: of the scene world for a trained model, of noise for a random one.

    Attributes:
        omni: the model.
        served: the same as it serves conversations, in each way that is asked for.
        shape: sizes of a random model; None for a checkpoint.
        question: 64 tokens for a random model.
        raw: the minute's windows.
        rates: what the device reaches; measured first.
    """

    def __init__(self, omni: OmniModel, setting: Setting) -> None:
        self.setting, self.shape = setting, SHAPES.get(setting.name)
        self.omni, self.question = _fitted(omni) if self.shape else (omni, _QUESTION)
        self.watch = Stopwatch(omni.stack.device, setting.repeats)
        self.costs = Costs(omni)
        self.rates: Rates | None = None
        self.raw = noise(omni, WINDOWS) if self.shape else media([make_script(_SEED, WINDOWS)], "cpu")[0]
        self.served = tuple(self._serve(graphs) for graphs in setting.graphs)

    @property
    def first(self) -> Served:
        """The way of serving whose rows have targets."""
        return self.served[0]

    @cached_property
    def encoded(self) -> list[EncodedWindow]:
        """The minute after the towers."""
        encoder, stream = WindowEncoder(self.omni), StreamState()
        return [encoder.encode([(stream, window)])[0] for window in self.raw]

    @cached_property
    def prompted(self) -> Prompted:
        """The minute and the question as one sequence, nothing pruned."""
        return assemble(self.omni, self.encoded, Everything().compress(self.encoded), self.question)

    def floor(self, work: Work) -> float | None:
        """Milliseconds that it takes at least; None as long as the rates are unknown."""
        return None if self.rates is None else work.floor_ms(self.rates)

    def _serve(self, graphs: Graphs) -> Served:
        setting = self.setting
        return Served(
            LiveModel(self.omni, LiveOptions(graphs=graphs)),
            suffix="" if graphs == setting.graphs[0] else f" (graphs {graphs})",
            watch=self.watch,
            encoded=lambda: self.encoded,
            patch=_first_second(self.raw[0]),
            question=self.question,
            budget=setting.budget,
            quick=setting.quick,
        )


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
