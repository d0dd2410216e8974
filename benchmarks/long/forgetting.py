"""Ways to keep a store within its budget: as it is served, and the simple ones that it must beat.

All of them get the same windows, budget, slack and decoder; only what leaves a full store differs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pruner.eviction import EvictionRule, spread
from pruner.tokens import TokenRows

__all__ = ["RULES", "SlidingWindow", "UniformTokens", "UniformWindows", "chosen_rules"]

Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[np.floating]


@dataclass(frozen=True)
class SlidingWindow(EvictionRule):
    """The newest tokens stay."""

    def surviving(self, rows: TokenRows, new: Values, importance: Values, limit: int) -> Mask:
        """See `EvictionRule`."""
        media = np.flatnonzero(rows.media)
        return _only(rows, media[len(media) - limit :])


@dataclass(frozen=True)
class UniformWindows(EvictionRule):
    """Whole windows stay, evenly spaced over the past."""

    def surviving(self, rows: TokenRows, new: Values, importance: Values, limit: int) -> Mask:
        """See `EvictionRule`."""
        media = np.flatnonzero(rows.media)
        numbers, index, counts = np.unique(rows.chunk[media], return_inverse=True, return_counts=True)
        stay = spread(numbers, counts, limit, recent=1)
        return _only(rows, media[np.isin(index, stay)])


@dataclass(frozen=True)
class UniformTokens(EvictionRule):
    """Every window keeps as many tokens as any other, evenly spaced within it; where there are more windows than room
    for tokens, windows with one token stay, evenly spaced over the past."""

    def surviving(self, rows: TokenRows, new: Values, importance: Values, limit: int) -> Mask:
        """See `EvictionRule`."""
        media = np.flatnonzero(rows.media)
        numbers, counts = np.unique(rows.chunk[media], return_counts=True)
        quota = np.minimum(counts, _level(counts, limit))
        room = limit - int(quota.sum())
        open_ = np.flatnonzero(quota < counts)
        if room and len(open_):
            quota[open_[spread(numbers[open_], np.ones(len(open_), np.int64), room, recent=1)]] += 1
        starts = np.cumsum(counts) - counts
        kept = [
            start + (np.arange(keep) * count + count // 2) // max(keep, 1)
            for start, count, keep in zip(starts, counts, quota, strict=True)
        ]
        return _only(rows, media[np.concatenate(kept)])


RULES: dict[str, EvictionRule] = {
    "live": EvictionRule(),
    "window": SlidingWindow(),
    "uniform_windows": UniformWindows(),
    "uniform_tokens": UniformTokens(),
}
"""What can be a row, by name; "live" is what the service does."""


def chosen_rules(names: str) -> list[str]:
    """Names by commas, each once.

    Raises:
        ValueError: one of them is no rule, or there is none.
    """
    chosen = list(dict.fromkeys(name for name in names.split(",") if name))
    unknown = [name for name in chosen if name not in RULES]
    if unknown or not chosen:
        raise ValueError(f"there is no rule {next(iter(unknown), '')!r}: choose from {', '.join(RULES)}")
    return chosen


def _level(counts: npt.NDArray[np.integer], limit: int) -> int:
    """The most that every window may keep, so that together they keep at most `limit`."""
    low, high = 0, int(counts.max(initial=0))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if int(np.minimum(counts, middle).sum()) <= limit else (low, middle - 1)
    return low


def _only(rows: TokenRows, media: npt.NDArray[np.integer]) -> Mask:
    stays = ~rows.media
    stays[media] = True
    return stays
