"""Pruning schedules: how many audiovisual tokens are dropped after which decoder layer, in exact integer counts.

After layer l, `k_l = floor(p_l * n_l)` of the n_l tokens still alive are dropped (paper, section 3.1, Eq. 3, 4, 6).
All counts follow from the host's arithmetic alone, so a guided pass never waits for the accelerator to learn a shape.

Two figures describe a schedule on n tokens that were raw_n before intra-modality compression:
**retention**, the mean over all layers of (tokens entering the layer) / raw_n, and the **deep share**, the mean over
the layers from the fusion depth on of (tokens entering the layer) / n.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from pruner.errors import ScheduleError

__all__ = ["PRESETS", "Constant", "Schedule", "Sigmoid", "Target", "live", "one_shot", "preset", "reachable", "solve"]

TOLERANCE = 0.005
"""A target this near to the reachable range is met by the end of the range."""

Target = Literal["retention", "deep_share"]


@dataclass(frozen=True)
class Sigmoid:
    """The paper's ratio per layer: `p_l = p_init + (p_final - p_init) * sigmoid(beta * (l / L - t_mid))`."""

    p_init: float = 0.0
    p_final: float = 0.2
    beta: float = 20.0
    t_mid: float = 0.5

    def ratio(self, layer: int, layers: int) -> float:
        """Share of the tokens alive that is dropped after `layer` of `layers`."""
        rise = 1.0 / (1.0 + math.exp(-self.beta * (layer / layers - self.t_mid)))
        return self.p_init + (self.p_final - self.p_init) * rise

    def scaled(self, p: float) -> Sigmoid:
        """The same curve with `p_final = p`; what `solve` varies."""
        return replace(self, p_final=p)


@dataclass(frozen=True)
class Constant:
    """The same ratio after every layer that drops."""

    p: float = 0.2

    def ratio(self, layer: int, layers: int) -> float:
        """Share of the tokens alive that is dropped after `layer` of `layers`."""
        return self.p

    def scaled(self, p: float) -> Constant:
        """The same form with ratio `p`; what `solve` varies."""
        return Constant(p)


@dataclass(frozen=True)
class Schedule:
    """Where tokens are dropped and by what ratio.

    Attributes:
        layers: decoder layers L.
        first: first layer after which tokens are dropped; the last is always L-2.
        curve: the ratio per layer.
        floor: audiovisual tokens below which nothing is dropped any more.
    """

    layers: int
    first: int
    curve: Sigmoid | Constant
    floor: int = 0

    def __post_init__(self) -> None:
        if self.layers < 2 or not 0 <= self.first <= self.layers - 2 or self.floor < 0:
            raise ValueError(f"no schedule has layers={self.layers}, first={self.first}, floor={self.floor}")

    @property
    def depth(self) -> int:
        """First layer that sees fewer tokens: the fusion depth F of the live form."""
        return self.first + 1

    def drops(self, count: int) -> tuple[int, ...]:
        """Tokens dropped after each layer 0…L-1 when `count` enter layer 0."""
        return (*(before - after for before, after in pairwise(self.alive(count))), 0)

    def alive(self, count: int) -> tuple[int, ...]:
        """Tokens that enter each layer 0…L-1 when `count` enter layer 0."""
        alive = [count] * (self.first + 1)
        for layer in range(self.first, self.layers - 1):
            now = alive[-1]
            drop = math.floor(self.curve.ratio(layer, self.layers) * now)
            alive.append(now - max(0, min(drop, now - self.floor)))
        return tuple(alive)

    def retention(self, count: int, raw: int) -> float:
        """Layer mean of the share of the `raw` tokens (before compression) that enter a layer."""
        return sum(self.alive(count)) / (self.layers * raw) if raw else 0.0

    def deep_share(self, count: int) -> float:
        """Mean share of the `count` tokens that enters layers `depth`…L-1."""
        deep = self.alive(count)[self.depth :]
        return sum(deep) / (len(deep) * count) if count else 0.0


def one_shot(layers: int, curve: Sigmoid | Constant | None = None, *, floor: int = 0) -> Schedule:
    """The paper's form: layers 0…L-2 drop."""
    return Schedule(layers, 0, curve or Sigmoid(), floor)


def live(layers: int, depth: int, curve: Sigmoid | Constant | None = None, *, floor: int = 0) -> Schedule:
    """The live form: nothing is dropped before the fusion depth F; drops after layers F-1…L-2."""
    return Schedule(layers, depth - 1, curve or Constant(), floor)


PRESETS: dict[str, Sigmoid] = {
    "7b-30": Sigmoid(0.0, 0.2),
    "7b-20": Sigmoid(0.02, 0.5),
    "3b-30": Sigmoid(0.0, 0.15),
    "3b-20": Sigmoid(0.02, 0.5, t_mid=0.55),
}
"""The paper's published settings by model size and nominal retention in percent."""

_PRESET_LAYERS = {"7b": 28, "3b": 36}


def preset(name: str) -> Schedule:
    """The one-shot schedule of a published setting ("7b-30", "7b-20", "3b-30" or "3b-20")."""
    return one_shot(_PRESET_LAYERS[name.split("-")[0]], PRESETS[name])


def _measure(schedule: Schedule, count: int, raw: int, what: Target) -> Callable[[float], float]:
    if what == "retention":
        return lambda p: replace(schedule, curve=schedule.curve.scaled(p)).retention(count, raw)
    return lambda p: replace(schedule, curve=schedule.curve.scaled(p)).deep_share(count)


def reachable(schedule: Schedule, count: int, raw: int, what: Target = "retention") -> tuple[float, float]:
    """Lowest and highest figure that the schedule's form reaches by varying `p_final` (or the ratio) in [0, 1]."""
    measure = _measure(schedule, count, raw, what)
    return measure(1.0), measure(0.0)


@lru_cache(maxsize=256)
def solve(schedule: Schedule, target: float, count: int, raw: int, what: Target = "retention") -> Schedule:
    """The schedule of the same form whose realised figure is nearest to `target` on exactly these counts.

    The figure never rises with the ratio, floors included (fewer tokens in, fewer out), so bisection finds the step
    that brackets the target; of its two sides the nearer one is taken.

    Args:
        schedule: form, layers and floor; its `p_final` (or ratio) is replaced.
        target: share in [0, 1].
        count: audiovisual tokens entering layer 0.
        raw: audiovisual tokens before intra-modality compression; only retention depends on it.
        what: which figure `target` names.

    Raises:
        ScheduleError: the target is outside the reachable range by more than 0.5 points.
    """
    measure = _measure(schedule, count, raw, what)
    low, high = reachable(schedule, count, raw, what)
    if count and not low - TOLERANCE <= target <= high + TOLERANCE:
        raise ScheduleError(target, (low, high), what)
    mild, harsh = 0.0, 1.0
    for _ in range(50):
        middle = (mild + harsh) / 2
        if measure(middle) >= target:
            mild = middle
        else:
            harsh = middle
    best = mild if abs(measure(mild) - target) <= abs(measure(harsh) - target) else harsh
    return replace(schedule, curve=schedule.curve.scaled(best))
