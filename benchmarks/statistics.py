"""Intervals around what a benchmark found. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np

Z_95 = 1.959964
_RESAMPLES = 4000


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and the ends of its 95 % confidence interval."""

    value: float
    low: float
    high: float


def wilson(good: int, count: int) -> Interval:
    """A share with Wilson's score interval (1927), which stays inside [0, 1] and holds for few trials.

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    if count < 1 or not 0 <= good <= count:
        raise ValueError(f"{good} of {count} is no share")
    share, z2 = good / count, Z_95**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z_95 * sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return Interval(share, min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)))


def paired_difference(clusters: Sequence[tuple[int, int]], *, seed: int = 0) -> Interval:
    """Mean paired difference with a bootstrap interval that resamples whole clusters.

    Questions about one stream succeed and fail together, so streams are drawn, not questions.

    Args:
        clusters: of each stream the sum of (right with A - right with B) over its questions, and their number.
        seed: of the resampling.

    Raises:
        ValueError: no questions.
    """
    sums, counts = np.asarray(clusters, dtype=np.float64).reshape(-1, 2).T
    if not counts.sum():
        raise ValueError("there are no pairs to compare")
    drawn = np.random.default_rng(seed).integers(0, len(sums), (_RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / np.maximum(counts[drawn].sum(axis=1), 1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Interval(float(sums.sum() / counts.sum()), float(low), float(high))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed (nearest rank).

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("there are no values")
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


def ratio(clusters: Sequence[tuple[int, int]], *, seed: int = 0) -> Interval | None:
    """Ratio of two sums with a bootstrap interval that resamples whole clusters; None where the lower sum is 0.

    A resample whose lower sum is 0 counts as infinite: the upper end may then be `inf`.

    Args:
        clusters: of each stream what is above and what is below the line.
        seed: of the resampling.
    """
    above, below = np.asarray(clusters, dtype=np.float64).reshape(-1, 2).T
    if not below.sum():
        return None
    drawn = np.random.default_rng(seed).integers(0, len(above), (_RESAMPLES, len(above)))
    tops, bottoms = above[drawn].sum(axis=1), below[drawn].sum(axis=1)
    ratios = np.where(bottoms > 0, tops / np.maximum(bottoms, 1e-9), np.inf)
    low, high = np.percentile(ratios, (2.5, 97.5), method="nearest")
    return Interval(float(above.sum() / below.sum()), float(low), float(high))
