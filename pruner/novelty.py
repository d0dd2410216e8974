"""How much tokens and chunks inform: what a full fusion store keeps longest.

A token informs as far as it is new (unlike every token of the chunk before it), stands out (unlike its own chunk's
average: silence and walls do not) and was cared for by earlier questions; a chunk, as its best tokens do.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from pruner.tokens import NONE, Modality, TokenRows

__all__ = ["information", "neighbours", "novelty", "of_chunks", "rank_in_runs"]

Counts = npt.NDArray[np.integer]
Values = npt.NDArray[np.floating]


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
    rank, size = rank_in_runs(chunk[order].astype(np.int64) * 4 + modality[order])
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
    rank, size = rank_in_runs(chunk[order])
    top = rank < best
    sums = np.add.reduceat(np.where(top, informs[order], 0.0), np.flatnonzero(rank == 0))
    return np.asarray(sums / np.minimum(size[rank == 0], best))


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


def rank_in_runs(label: Counts) -> tuple[Counts, Counts]:
    """Index of each element within its run of equal labels, and the length of that run."""
    starts = np.flatnonzero(np.diff(label, prepend=label[:1] - 1))
    sizes = np.diff(np.append(starts, len(label)))
    return np.arange(len(label)) - np.repeat(starts, sizes), np.repeat(sizes, sizes)
