"""The ratios that count, with where they are to land first and where they are to go (design: performance)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.speed.bench import Row
from benchmarks.speed.measures import age, decode, encoders, generate, memory, prefill, throughput, window
from benchmarks.speed.shapes import SHAPES

__all__ = ["Ratio", "ratios"]


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure that was reached, beside its targets.

    Attributes:
        first, goal: at most these; at least these where they rise.
    """

    name: str
    value: float
    first: float
    goal: float

    @property
    def verdict(self) -> str:
        """Which of the two are met."""
        sign = 1 if self.goal < self.first else -1
        if sign * self.value <= sign * self.goal:
            return "goal met"
        return "first met" if sign * self.value <= sign * self.first else "missed"


@dataclass(frozen=True, slots=True)
class _Target:
    """A ratio with its targets; `model` is the only one that they are set for, "large" any of a published size."""

    name: str
    first: float
    goal: float
    of: Callable[[Mapping[str, Row]], float]
    model: str | None = None

    def is_for(self, model: str) -> bool:
        """Whether they are set for a model of this name."""
        return self.model is None or self.model == ("large" if model in SHAPES else model)


def _cold(rows: Mapping[str, Row]) -> float:
    """transformers' stock encoders and full prefill."""
    towers = sum(rows[encoders.STOCK.format(kind, encoders.MINUTE)].value for kind in ("vision", "audio"))
    return towers + rows[prefill.STOCK].value


def _asked(rows: Mapping[str, Row]) -> float:
    """What is left to do once the last second is in the memory."""
    return sum(rows[age.PARTS[name]].value for name in ("question_ms", "guide_ms", "first_step_ms"))


def _at(rows: Mapping[str, Row], minutes: int) -> float:
    return rows[age.TOTAL.format(minutes)].value


_TARGETS: Sequence[_Target] = (
    _Target(
        "one-shot OmniDrop ÷ full prefill, decoder only",
        0.36,
        0.30,
        lambda rows: rows[prefill.ONE_SHOT].value / rows[prefill.STOCK].value,
    ),
    _Target("live, last second included ÷ cold", 1 / 10, 1 / 25, lambda rows: _at(rows, age.COLD) / _cold(rows)),
    _Target("live, question, guide and first step ÷ cold", 1 / 20, 1 / 40, lambda rows: _asked(rows) / _cold(rows)),
    _Target("first token at 60 min ÷ at 5 min", 1.2, 1.05, lambda rows: _at(rows, age.OLD) / _at(rows, age.YOUNG)),
    _Target(
        "decode step ÷ generate step",
        0.40,
        0.20,
        lambda rows: rows[decode.STEP].value / rows[generate.STEP].value,
    ),
    _Target(
        "decode step ÷ generate step, static cache",
        0.40,
        0.20,
        lambda rows: rows[decode.STEP].value / rows[generate.STATIC].value,
    ),
    _Target("windows a second", 12, 30, lambda rows: rows[throughput.WINDOWS_A_SECOND].value, model="large"),
    _Target(memory.RATIO, 1.05, 1.02, lambda rows: rows[memory.RATIO].value),
    _Target(window.RATIO, 0.25, 0.07, lambda rows: rows[window.RATIO].value, model="nano"),
)


def ratios(model: str, rows: Sequence[Row]) -> list[Ratio]:
    """All that are set for a model and whose rows have been measured."""
    known = {row.name: row for row in rows}
    found = []
    for target in (one for one in _TARGETS if one.is_for(model)):
        try:
            found.append(Ratio(target.name, target.of(known), target.first, target.goal))
        except KeyError:
            continue
    return found
