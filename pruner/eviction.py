"""Which audiovisual tokens leave a full fusion store: temporal coverage first, information second.

Pure functions on host arrays. How much a token and a chunk inform is said in `pruner.novelty`. The budget is shared
out in three steps:

1. *Which chunks stay.* Every past chunk keeps a floor of tokens as long as all floors fit into their share of the
   budget. When they no longer fit, whole chunks leave, always the one whose neighbours in time are closest together
   for its age and that informs least: what stays lies evenly on a logarithmic scale of age, so that twice as long ago
   is remembered half as densely, and of spans that show the same thing the beginning. (Thinned evenly in time, a
   store of hours would hold no more of the last minute than of any other.) The first chunk and the newest are spared.
2. *How much each keeps.* Quotas go with a chunk's information and fall as 1/sqrt(1 + age / recent), scaled until the
   budget is used up, never below the floor and never above what the chunk still has: the past fades without an edge.
3. *What goes inside a chunk.* The tokens that inform least, pictures and sound on one scale. The second best of a
   modality counts half, the third a third, and so on: of a moment something to see and something to hear stays, since
   what sounded is of little use without what was there when it did.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pruner.novelty import information, of_chunks, rank_in_runs
from pruner.tokens import TokenRows

__all__ = ["EvictionReport", "EvictionRule", "choose_tokens", "quotas", "spread"]

Counts = npt.NDArray[np.integer]
Values = npt.NDArray[np.floating]

_LEAST = 1 / 16
"""Of what the best chunk informs, the share that every chunk is taken to inform."""


@dataclass(frozen=True)
class EvictionRule:
    """Settings of the coverage eviction.

    Attributes:
        floor: tokens that every past chunk keeps as long as floors fit.
        floor_share: share of the budget that floors may take; the rest is shared out by age.
        recent: newest chunks that are never thinned out, at least 1; and the age, in chunks, from which on what is kept
            falls with age.
        joined: chunks up to which old, thinned neighbouring segments are joined into one. They keep few tokens each,
            and every segment's wrapper is read by every question.
        slack: share of the budget freed beyond what is needed, so that the store is compacted once in several windows.
    """

    floor: int = 3
    floor_share: float = 0.75
    recent: int = 8
    joined: int = 16
    slack: float = 1 / 16

    def surviving(self, rows: TokenRows, new: Values, importance: Values, limit: int) -> npt.NDArray[np.bool_]:
        """Which rows stay when at most `limit` audiovisual ones may; other rows all do. Another way to forget, such as
        a benchmark's baseline, is a subclass that overrides this.

        Args:
            rows: all rows of a store, n of them.
            new, importance: float [n], see `information`; read in audiovisual rows only.
        """
        media = np.flatnonzero(rows.media)
        chunk = rows.chunk[media]
        informs = information(chunk, rows.modality[media], new[media], importance[media])
        numbers, index, counts = np.unique(chunk, return_inverse=True, return_counts=True)
        quota = quotas(numbers, counts, of_chunks(chunk, informs, self.floor), limit, self)
        stays = ~rows.media
        stays[media] = choose_tokens(chunk, informs, quota[index])
        return stays


@dataclass(frozen=True)
class EvictionReport:
    """What left a store.

    Attributes:
        evicted: audiovisual tokens that left.
        thinned_chunks: chunks that left with their last token.
        text: text and wrapper tokens that left.
        kept: int64 [rows], the rows that stayed, by their index before; None when nothing left.
    """

    evicted: int = 0
    thinned_chunks: int = 0
    text: int = 0
    kept: npt.NDArray[np.integer] | None = None


def quotas(chunk: Counts, count: Counts, informs: Values, limit: int, rule: EvictionRule) -> Counts:
    """Tokens that each chunk may keep so that all together keep at most `limit`.

    Args:
        chunk: int [c], chunk numbers, ascending.
        count: int [c], tokens each has now, at least 1.
        informs: float [c], see `of_chunks`; only ratios matter.
        limit: tokens that may stay.
        rule: see `EvictionRule`.

    Returns:
        int64 [c], between 0 and `count`; their sum is exactly `limit` where more than `limit` tokens were there.
    """
    if int(count.sum()) <= limit:
        return count.astype(np.int64)
    keep = np.zeros(len(chunk), dtype=np.int64)
    floor = min(rule.floor, limit)
    # However small the budget, one chunk may fill its floor: an empty store answers nothing.
    room = max(rule.floor_share * limit, floor)
    informs = np.maximum(informs, _LEAST * informs.max())  # a chunk without any news fades faster, not at once
    # Squared, since what a token can inform is bounded: otherwise a gap would nearly always outweigh news.
    alive = spread(chunk, np.minimum(count, floor), room, recent=rule.recent, fade=rule.recent, worth=informs**2)
    weight = informs / np.sqrt(1.0 + (chunk[-1] - chunk) / rule.recent)
    keep[alive] = _shared(count[alive], weight[alive], limit, floor)
    return keep


def spread(
    at: Counts, weight: Counts, limit: float, *, recent: int, fade: float = math.inf, worth: Values | None = None
) -> npt.NDArray[np.int64]:
    """Thins a series until the weights that stay sum to at most `limit`.

    Leaves out, one after the other, the member with the least gap between its neighbours, divided by 1 + age / fade
    and times its worth; of equal ones the older. The first member and the `recent` last are spared as long as there
    are others; then the oldest go.

    Args:
        at: int [n], ascending places in time.
        weight: int [n].
        recent: members at the end that are spared.
        fade: age, in units of `at` before the last member, from which on gaps grow with age; infinite: evenly in time.
        worth: float [n], above 0; None: all are worth the same.

    Returns:
        int64 [m], ascending indices of the members that stay.
    """
    alive = list(range(len(at)))
    total = int(weight.sum())
    counts = 1 / (1 + (at[-1:] - at) / fade)
    if worth is not None:
        counts = counts * worth
    while alive and total > limit:
        inner = max(len(alive) - recent - 1, 0)
        victim = 0
        if inner:
            gaps = at[alive[2 : 2 + inner]] - at[alive[:inner]]
            victim = 1 + int((gaps * counts[alive[1 : 1 + inner]]).argmin())
        total -= int(weight[alive.pop(victim)])
    return np.asarray(alive, dtype=np.int64)


def _shared(count: Counts, weight: Values, limit: int, floor: int) -> Counts:
    """Shares `limit` tokens out among chunks that all stay, in proportion to `weight` within [floor, count]."""
    if not len(count):
        return count.astype(np.int64)
    lowest = np.minimum(count, floor)

    def share(scale: float) -> Counts:
        return np.asarray(np.clip((scale * weight).astype(np.int64), lowest, count))

    low, high = 0.0, float((count / weight).max()) + 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if int(share(middle).sum()) <= limit else (low, middle)
    keep = share(low)
    for index in np.flatnonzero(keep < count)[::-1][: max(limit - int(keep.sum()), 0)]:
        keep[index] += 1
    return keep


def choose_tokens(chunk: Counts, informs: Values, quota: Counts) -> npt.NDArray[np.bool_]:
    """Which tokens stay when each chunk keeps the most informative ones of its quota.

    Args:
        chunk: int [n], tokens in sequence order.
        informs: float [n], see `information`.
        quota: int [n], tokens that each token's chunk keeps.

    Returns:
        bool [n]. Of equal tokens the later stays.
    """
    order = np.lexsort((np.arange(len(chunk)), informs, chunk))
    rank, size = rank_in_runs(chunk[order])
    stays = np.zeros(len(chunk), dtype=np.bool_)
    stays[order] = rank >= size - quota[order]
    return stays
