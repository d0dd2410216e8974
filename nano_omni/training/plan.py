"""What is trained when, and how fast: shares of a run's time."""

from __future__ import annotations

from dataclasses import dataclass

from nano_omni.training.trainer import Stage

_FALLEN = 0.10
"""How far the rate of the second part falls."""
_AGAIN = 0.7
"""Peak rate of the last part."""
_LAST = 0.02
_WARM = 0.01


@dataclass(frozen=True)
class Plan:
    """Moments of a run, in [0, 1], in this order.

    Attributes:
        towers: until then the towers learn alone.
        short: until then streams have 4 windows.
        fall: the rate of the second part begins to fall.
        whole: the second part ends, and the towers stay what they are.
        fall_again: the rate of the last part begins to fall.
        start: where this run begins; the rate is warmed up from there.

    Raises:
        ValueError: they are in another order.
    """

    towers: float = 0.04
    short: float = 0.09
    fall: float = 0.30
    whole: float = 0.45
    fall_again: float = 0.62
    start: float = 0.0

    def __post_init__(self) -> None:
        moments = (0.0, self.towers, self.short, self.fall, self.whole, self.fall_again, 1.0)
        if not (moments == tuple(sorted(moments)) and self.fall < self.whole and self.fall_again < 1.0):
            raise ValueError(f"plan: moments must rise from towers to fall_again within [0, 1], got {moments[1:-1]}")
        if not 0.0 <= self.start < 1.0:
            raise ValueError(f"plan: start must lie in [0, 1), got {self.start}")

    def stage_at(self, progress: float) -> Stage:
        """Part of the training at `progress` in [0, 1]."""
        if progress < self.towers:
            return Stage.TOWERS
        return Stage.WHOLE if progress < self.whole else Stage.PRUNED

    def rate_at(self, progress: float) -> float:
        """Share of the peak rate at `progress` in [0, 1]."""
        if progress < self.whole:
            rate = _falling(progress, self.fall, self.whole, 1.0, _FALLEN)
        else:
            warm = _falling(progress, self.whole, self.whole + 2 * _WARM, _FALLEN, _AGAIN)
            rate = min(warm, _falling(progress, self.fall_again, 1.0, _AGAIN, _LAST))
        return rate * min(1.0, 0.1 + max(0.0, progress - self.start) / _WARM)


def _falling(progress: float, start: float, end: float, high: float, low: float) -> float:
    """Straight from `high` at `start` to `low` at `end`, constant before and after."""
    share = min(1.0, max(0.0, (progress - start) / (end - start)))
    return high + (low - high) * share
