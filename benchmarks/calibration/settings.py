"""What a calibration may choose from: settings that meet one target. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, get_args

from benchmarks.reach import reach, stored_share
from pruner import ScheduleError, TurnOptions
from pruner.families.facts import ModelFacts
from pruner.guidance import Score
from pruner.schedule import TOLERANCE

__all__ = ["Form", "Setting", "settings"]

Form = Literal["constant", "sigmoid"]


@dataclass(frozen=True, slots=True)
class Setting:
    """A way to prune; the names are those of the `engine` section of a configuration file.

    Attributes:
        fusion_depth: layers run as the stream flows.
        deep_share: mean share of the stored tokens over the layers after those, in (0, 1].
        schedule, score, diversity_weight: see `pruner.TurnOptions`.
    """

    fusion_depth: int
    deep_share: float
    schedule: Form
    score: Score
    diversity_weight: float

    def options(self, max_tokens: int | None) -> TurnOptions:
        """The same for the pruner."""
        return TurnOptions(
            deep_share=self.deep_share,
            schedule=self.schedule,
            score=self.score,
            diversity_weight=self.diversity_weight,
            max_tokens=max_tokens,
        )

    def __str__(self) -> str:
        return (
            f"depth {self.fusion_depth}, deep {100 * self.deep_share:.1f} %, {self.schedule}, {self.score}, "
            f"diversity {self.diversity_weight:g}"
        )


def settings(
    facts: ModelFacts, *, retention: float | None, deep_share: float | None, weights: Sequence[float]
) -> list[Setting]:
    """Everything to choose from, the service's default first, then by how much else differs from it.

    A retention, the layer mean of a long stream's tokens relative to those before compression, is met at several
    fusion depths: the deeper, the fewer tokens are left for the layers after it. A deep share means other work at every
    depth, so it is met at the model's own only.

    Args:
        facts: of the model.
        retention, deep_share: the target; exactly one is given.
        weights: of diversity; 0 is always among them.

    Raises:
        ScheduleError: no setting reaches the target; states the range that some setting reaches.
    """
    default = TurnOptions()
    depths = _depths(facts) if retention is not None else [facts.fusion_depth]
    found, ranges = [], []
    for depth, form in product(depths, get_args(Form)):
        ranges.append(_range(facts, form, depth, retention is not None))
        low, high = ranges[-1]
        target = deep_share if retention is None else retention
        if target is None or not low - TOLERANCE <= target <= high + TOLERANCE:
            continue
        deep = target if retention is None else _deep_share(facts, depth, target)
        found += [
            Setting(depth, round(deep, 4), form, score, weight)
            for score in get_args(Score)
            for weight in dict.fromkeys((0.0, *weights))
        ]
    if not found:
        what = "deep_share" if retention is None else "retention"
        wanted = deep_share if retention is None else retention
        raise ScheduleError(wanted or 0.0, (min(low for low, _ in ranges), max(high for _, high in ranges)), what)

    def strangeness(one: Setting) -> tuple[Any, ...]:
        ways = (one.schedule != default.schedule, one.score != default.score, one.diversity_weight != 0)
        distance = abs(one.fusion_depth - facts.fusion_depth)
        return (sum(ways) + (distance > 0), distance, ways, one.fusion_depth, one.diversity_weight)

    return sorted(found, key=strangeness)


def _depths(facts: ModelFacts) -> list[int]:
    """A quarter, a third, two thirds of the layers, and the model's own depth, as far as the model allows them."""
    layers = facts.layers
    tried = {layers // 4, layers // 3, 2 * layers // 3, facts.fusion_depth}
    return sorted(depth for depth in tried if max(1, facts.deepstack) <= depth <= layers - 2)


def _range(facts: ModelFacts, form: Form, depth: int, by_retention: bool) -> tuple[float, float]:
    low, high = reach(facts, TurnOptions(schedule=form), depth)
    if by_retention:
        return low, high
    return _deep_share(facts, depth, low), _deep_share(facts, depth, high)


def _deep_share(facts: ModelFacts, depth: int, retention: float) -> float:
    """The share in the layers from `depth` on that makes a long stream's layer mean `retention`."""
    entering = retention * facts.layers / stored_share(facts)
    return min(1.0, max(1e-4, (entering - depth) / (facts.layers - depth)))
