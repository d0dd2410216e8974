"""Which audiovisual tokens leave a full fusion store: temporal coverage first, information second.

Pure functions on host arrays. A token informs as far as it is new (unlike every token of the chunk before it), stands
out (unlike its own chunk's average: silence and walls do not) and was cared for by earlier questions; a chunk, as its
best tokens do. The budget is shared out in three steps:

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
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from pruner.tokens import NONE, Modality, TokenRows

__all__ = [
    "EvictionReport",
    "EvictionRule",
    "choose_tokens",
    "information",
    "neighbours",
    "novelty",
    "of_chunks",
    "quotas",
    "spread",
]

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
        joined: chunks up to which old, thinned neighbouring segments are joined into one.
        slack: share of the budget freed beyond what is needed, so that the store is compacted once in several windows.
    """

    floor: int = 3
    floor_share: float = 0.75
    recent: int = 8
    joined: int = 8
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


def information(chunk: Counts, modality: Counts, new: Values, importance: Values) -> Values:
    """How much each token informs.

    Args:
        chunk, modality: int [n], tokens in sequence order.
        new: float [n], novelty of each token, at least 0. It counts relative to the mean of its modality, so that
            pictures and sound compare, and saturates: a token of mean novelty informs half as much as any can.
        importance: float [n] in [0, 1], the most that an earlier question cared, relative to its best token.

    Returns:
        float64 [n] in [0, 2]: news and importance, divided by the token's rank by them in its chunk and modality. What
        one token informs does not change when lesser ones leave.
    """
    mean = np.bincount(modality, new) / np.maximum(np.bincount(modality), 1)
    both = new + mean[modality]
    tells = np.divide(new, both, out=np.full(len(new), 0.5), where=both > 0) + importance
    order = np.lexsort((np.arange(len(new)), tells, modality, chunk))
    rank, size = _rank_in_runs(chunk[order].astype(np.int64) * 4 + modality[order])
    tells[order] /= size - rank
    return np.asarray(tells)


def of_chunks(chunk: Counts, informs: Values, best: int) -> Values:
    """What each chunk informs: the mean of its `best` best tokens. Thinning takes the others first, and so leaves it.

    Args:
        chunk: int [n], of each token, ascending.
        informs: float [n], of each token.

    Returns:
        float64 [c], of each chunk, ascending.
    """
    order = np.lexsort((-informs, chunk))
    rank, size = _rank_in_runs(chunk[order])
    top = rank < best
    sums = np.add.reduceat(np.where(top, informs[order], 0.0), np.flatnonzero(rank == 0))
    return np.asarray(sums / np.minimum(size[rank == 0], best))


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
    rank, size = _rank_in_runs(chunk[order])
    stays = np.zeros(len(chunk), dtype=np.bool_)
    stays[order] = rank >= size - quota[order]
    return stays


def _rank_in_runs(label: Counts) -> tuple[Counts, Counts]:
    """Index of each element within its run of equal labels, and the length of that run."""
    starts = np.flatnonzero(np.diff(label, prepend=label[:1] - 1))
    sizes = np.diff(np.append(starts, len(label)))
    return np.arange(len(label)) - np.repeat(starts, sizes), np.repeat(sizes, sizes)


def neighbours(rows: TokenRows, start: int) -> Iterator[tuple[Counts, Counts]]:
    """Pairs of row indices to compare: the tokens of one chunk and modality from row `start` on, and those before
    them that belong to the same chunk or to the one before it."""
    index = np.arange(len(rows))
    for number in np.unique(rows.chunk[start:][rows.media[start:]]):
        for modality in (Modality.VIDEO, Modality.AUDIO):
            same = rows.media & (rows.modality == modality)  # speech that asks is sound as well
            here = np.flatnonzero(same & (rows.chunk == number) & (index >= start))
            if len(here):
                newest = rows.chunk[same & (rows.chunk < number)].max(initial=NONE)
                yield here, np.flatnonzero(same & (rows.chunk >= newest) & (index < here[0]))


def novelty(hidden: Tensor, before: Tensor) -> Tensor:
    """How much each token of a chunk is news: unlike all that was there before, and unlike what is all around it.

    Args:
        hidden: float [n, dim], hidden states of a chunk's tokens of one modality.
        before: float [m, dim], those of the chunk before, m may be 0.

    Returns:
        float32 [n], at least 0: 1 minus the highest cosine similarity to any token of `before` (with m = 0: 1), times
        1 minus the similarity to the mean of both. The part that all hidden states share makes all of them alike, yet
        not equally so; centring would not help, since what differs from a mean of silence in no particular direction
        is no news, but has no likeness in silence either.
    """
    here, past = hidden.float(), before.float()
    apart = 1.0 - cosine_similarity(here, torch.cat((past, here)).mean(dim=0, keepdim=True), dim=-1)
    if len(past):
        apart = apart * (1.0 - torch.amax(normalize(here, dim=-1) @ normalize(past, dim=-1).T, dim=-1)).clamp(min=0)
    return apart.clamp(min=0)
