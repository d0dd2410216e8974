"""Which layer-mean retentions the live form reaches at all, known before anything is run."""

from __future__ import annotations

from pruner import ScheduleError, TurnOptions
from pruner.compress import audio_count, video_count
from pruner.families.facts import ModelFacts
from pruner.schedule import TOLERANCE, reachable

__all__ = ["reach", "require_within", "stored_share"]

_SECONDS = 10_000  # of stream: so many tokens that the rounding of counts no longer shows


def stored_share(facts: ModelFacts) -> float:
    """Share of the raw tokens of a stream with picture and sound that compression lets into a session's memory."""
    raw = _SECONDS * (facts.video_rate + facts.audio_rate)
    return (video_count(_SECONDS, facts.video_rate) + audio_count(_SECONDS * facts.audio_rate)) / raw


def reach(facts: ModelFacts, options: TurnOptions, depth: int | None = None) -> tuple[float, float]:
    """Lowest and highest layer-mean retention of a form of schedule on long streams.

    Args:
        facts: of the model.
        options: say which form.
        depth: fusion depth; None for the model's.
    """
    raw = _SECONDS * (facts.video_rate + facts.audio_rate)
    stored = round(stored_share(facts) * raw)
    return reachable(options.form(facts.layers, depth or facts.fusion_depth), stored, raw)


def require_within(target: float, within: tuple[float, float]) -> None:
    """Refuses a retention that no stream reaches.

    Raises:
        ScheduleError: with the reachable range.
    """
    low, high = within
    if not low - TOLERANCE <= target <= high + TOLERANCE:
        raise ScheduleError(target, within)
