"""Which audiovisual tokens matter to a question, and which of them survive a layer.

Scores come from post-softmax attention of the question's rows (paper, section 3.2, Eq. 5); survivors follow from
scores, temporal diversity (section 3.3, Alg. 1) and a count known on the host. Nothing here waits for the device:
every shape follows from the arguments' shapes. Equal scores are broken by sequence order, the earlier token going
first, so that every device drops the same tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

__all__ = ["Diversity", "drop_lowest", "mean_importance", "peak_importance", "temporal_distance"]


@dataclass(frozen=True)
class Diversity:
    """Settings of temporal diversity.

    Attributes:
        weight: lambda of Alg. 1.
        normalise: "none" adds the raw scores of Alg. 1 to the weighted distance, which then decides almost alone among
            the candidates; "max" divides scores by their maximum first.
        span: what chunk distances are divided by: "last" is the highest chunk number (the paper's, chunks counted
            from 0), "alive" the distance between the first and last chunk still alive, for streams of any age.
    """

    weight: float = 0.2
    normalise: Literal["none", "max"] = "none"
    span: Literal["last", "alive"] = "alive"


def mean_importance(attention: Tensor) -> Tensor:
    """The paper's score: mean over heads and question rows of one layer's attention.

    Args:
        attention: fp32 or fp64 [..., heads, rows, keys], after the softmax; rows are the question's.

    Returns:
        [..., keys], in the attention's precision.
    """
    return attention.mean(dim=(-3, -2))


def peak_importance(attention: Tensor, before: Tensor | None = None) -> Tensor:
    """Running maximum over layers, heads and rows of the question and the assistant's header.

    Args:
        attention: fp32 or fp64 [..., heads, rows, keys] of the current layer, after the softmax.
        before: [..., keys] of the layers so far, already gathered to the keys alive now; None at the first.

    Returns:
        [..., keys], in the attention's precision.
    """
    peak = attention.amax(dim=(-3, -2))
    return peak if before is None else torch.maximum(peak, before)


def temporal_distance(best: Tensor, chunk: Tensor, span: Literal["last", "alive"] = "alive") -> Tensor:
    """How far each token's chunk is from the best token's, as a share of the stream.

    Args:
        best: int [...], index of the token with the highest score.
        chunk: int [..., n], chunk of each token alive.
        span: see `Diversity.span`.

    Returns:
        float32 [..., n]; zeros where there is a single chunk.
    """
    here = chunk.gather(-1, best.unsqueeze(-1))
    last = chunk.amax(dim=-1, keepdim=True)
    length = last if span == "last" else last - chunk.amin(dim=-1, keepdim=True)
    return (chunk - here).abs().float() / length.clamp(min=1).float()


def drop_lowest(scores: Tensor, drop: int, chunk: Tensor | None = None, diversity: Diversity | None = None) -> Tensor:
    """Indices of the tokens that survive when `drop` of n are dropped.

    Without diversity the lowest scores go. With it (Alg. 1) the `2 * drop` lowest scores are candidates, and of those
    go the ones with the lowest `score + weight * distance`, so that tokens far from the best one's chunk are spared.

    Args:
        scores: fp32 or fp64 [..., n], tokens in sequence order.
        drop: tokens to drop, `0 <= drop <= n`.
        chunk: int [..., n], chunk of each token; needed with diversity.
        diversity: None for plain ranking.

    Returns:
        int64 [..., n - drop], ascending.
    """
    count = scores.shape[-1]
    ascending = scores.sort(dim=-1, stable=True).indices
    if diversity is None or drop == 0 or chunk is None:
        return ascending[..., drop:].sort(dim=-1).values
    pool = min(2 * drop, count)
    candidates = ascending[..., :pool].sort(dim=-1).values
    distance = temporal_distance(ascending[..., -1], chunk, diversity.span)
    level = scores
    if diversity.normalise == "max":
        level = scores / scores.amax(dim=-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).tiny)
    blended = (level + diversity.weight * distance).gather(-1, candidates)
    spared = candidates.gather(-1, blended.sort(dim=-1, stable=True).indices[..., drop:])
    return torch.cat([spared, ascending[..., pool:]], dim=-1).sort(dim=-1).values
