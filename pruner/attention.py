"""The three forms of causal attention that the decoder needs, without a batch axis and without transformers' masks.

Grouped queries are not repeated onto their key heads: the query heads of a group become further rows of their key head,
which is the same product with a better shape.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["causal_corner", "causal_mask", "extend", "square", "watch"]


def causal_corner(rows: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Additive [rows, rows]: 0 where a key is not later than the row, minus infinity elsewhere."""
    return torch.full((rows, rows), float("-inf"), dtype=dtype, device=device).triu_(1)


def causal_mask(rows: int, keys: int, groups: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Additive [groups * rows, keys] for `rows` queries that are the last of `keys`; `groups` as in `extend`."""
    mask = torch.zeros(rows, keys, dtype=dtype, device=device)
    mask[:, keys - rows :] = causal_corner(rows, dtype, device)
    return mask.repeat(groups, 1)


def extend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Attention of new rows over a past and themselves.

    Args:
        q: [heads, m, d], the last m of the sequence.
        k, v: [kv_heads, n, d].
        mask: of `causal_mask(m, n, heads / kv_heads, …)`; None for a single row, which sees everything.

    Returns:
        [heads, m, d].
    """
    heads, rows, width = q.shape
    grouped = q.reshape(k.shape[0], -1, width)
    mixed = functional.scaled_dot_product_attention(grouped[None], k[None], v[None], attn_mask=mask)
    return mixed.view(heads, rows, width)


def square(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention of a whole sequence over itself: q [heads, n, d]; k, v [kv_heads, n, d]."""
    return functional.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True, enable_gqa=True)[0]


def watch(q: Tensor, k: Tensor, v: Tensor, corner: Tensor) -> tuple[Tensor, Tensor]:
    """Like `extend`, and returns the attention itself.

    Args:
        corner: of `causal_corner(m, …)`.

    Returns:
        [heads, m, d], and the weights after the softmax [heads, m, n]: fp32, or fp64 where the model is.
    """
    heads, rows, width = q.shape
    grouped = q.reshape(k.shape[0], -1, width) * width**-0.5
    scores = torch.matmul(grouped, k.transpose(1, 2)).view(heads, rows, -1)
    scores[:, :, -rows:] += corner
    wide = torch.float64 if q.dtype == torch.float64 else torch.float32
    weights = torch.softmax(scores, dim=-1, dtype=wide)
    mixed = torch.matmul(weights.to(v.dtype).view(k.shape[0], -1, k.shape[1]), v)
    return mixed.view(heads, rows, width), weights
