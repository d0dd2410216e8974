"""What is trained when, and how fast: shares of a run's time."""

from __future__ import annotations

from nano_omni.training.trainer import Stage

TOWERS_UNTIL = 0.04
SHORT_UNTIL = 0.09
"""Until then streams have 4 windows."""
WHOLE_UNTIL = 0.45
_FALL_FROM, _FALL_TO = 0.30, 0.10
"""Where the rate of the second part begins to fall, and how far."""
_AGAIN, _AGAIN_FROM = 0.7, 0.62
"""Peak rate of the last part, and where it begins to fall."""
_LAST = 0.02
_WARM = 0.01


def stage_at(progress: float) -> Stage:
    """Part of the training at `progress` in [0, 1]."""
    if progress < TOWERS_UNTIL:
        return Stage.TOWERS
    return Stage.WHOLE if progress < WHOLE_UNTIL else Stage.PRUNED


def rate_at(progress: float, start: float = 0.0) -> float:
    """Share of the peak rate at `progress` in [0, 1], when the run began at `start`."""
    if progress < WHOLE_UNTIL:
        rate = _falling(progress, _FALL_FROM, WHOLE_UNTIL, 1.0, _FALL_TO)
    else:
        warm = _falling(progress, WHOLE_UNTIL, WHOLE_UNTIL + 2 * _WARM, _FALL_TO, _AGAIN)
        rate = min(warm, _falling(progress, _AGAIN_FROM, 1.0, _AGAIN, _LAST))
    return rate * min(1.0, 0.1 + (progress - start) / _WARM)


def _falling(progress: float, start: float, end: float, high: float, low: float) -> float:
    """Straight from `high` at `start` to `low` at `end`, constant before and after."""
    share = min(1.0, max(0.0, (progress - start) / (end - start)))
    return high + (low - high) * share
