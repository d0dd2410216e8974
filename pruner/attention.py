"""The forms of causal attention that the decoder needs, without a batch axis and without transformers' masks.

Grouped queries are not repeated onto their key heads: the query heads of a group become further rows of their key head,
which is the same product with a better shape; or a key head is shown to its group through a stride of 0.

`extend`, `square` and `watch` take exactly the keys there are. `cover` and `survey` are their forms over memory of a
fixed size, of which a mask says what is in use: their shapes, and so their kernels, stay the same while a conversation
grows.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

__all__ = ["causal_corner", "causal_mask", "cover", "extend", "square", "survey", "used_mask", "watch"]

_TAKES_MASKS = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
_NEEDS_NO_MASK = [SDPBackend.FLASH_ATTENTION, *_TAKES_MASKS]
"""Kernels on a GPU. Not cuDNN's, which torch would take first: it plans anew for each shape that it has not met, for
20 to 40 ms, and keeps the plan for ever, while the layers of a question, and the steps of an answer, each have a shape
of their own (seen on an H200: a guided pass of 780 ms instead of 20, and 1 MiB more a second in a process)."""


def causal_corner(rows: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Additive [rows, rows]: 0 where a key is not later than the row, minus infinity elsewhere."""
    return torch.full((rows, rows), float("-inf"), dtype=dtype, device=device).triu_(1)


def causal_mask(rows: int, keys: int, groups: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Additive [groups * rows, keys] for `rows` queries that are the last of `keys`; `groups` as in `extend`."""
    mask = torch.zeros(rows, keys, dtype=dtype, device=device)
    mask[:, keys - rows :] = causal_corner(rows, dtype, device)
    return mask.repeat(groups, 1)


def used_mask(last: Tensor, columns: int, dtype: torch.dtype) -> Tensor:
    """Additive [..., columns]: 0 up to the key `last` (int64 [...], on the device) sees, minus infinity beyond."""
    beyond = torch.arange(columns, device=last.device) > last.unsqueeze(-1)
    return torch.zeros(beyond.shape, dtype=dtype, device=last.device).masked_fill_(beyond, float("-inf"))


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
    if mask is None and not q.is_cuda and q.dtype.itemsize > 2:
        # torch's kernel for the CPU takes nearly twice as long as its parts for so few rows
        return _mix(torch.softmax(_scores(q, k), dim=-1), v, heads)
    grouped = q.reshape(k.shape[0], -1, width)
    with _kernels(q, _NEEDS_NO_MASK if mask is None else _TAKES_MASKS):
        mixed = functional.scaled_dot_product_attention(grouped[None], k[None], v[None], attn_mask=mask)
    return mixed.reshape(heads, rows, width)


def cover(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Like `extend`, over memory of a fixed size.

    Args:
        q: [heads, m, d].
        k, v: [kv_heads, capacity, d], finite everywhere.
        mask: of `used_mask`, [m, capacity], in the queries' dtype.

    Returns:
        [heads, m, d].
    """
    heads, rows, width = q.shape
    shape = (k.shape[0], heads // k.shape[0])
    keys, values = (one[:, None].expand(*shape, -1, -1) for one in (k, v))
    with _kernels(q, _TAKES_MASKS):
        mixed = functional.scaled_dot_product_attention(q.view(*shape, rows, width), keys, values, attn_mask=mask)
    return mixed.reshape(heads, rows, width)


def square(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention of a whole sequence over itself: q [heads, n, d]; k, v [kv_heads, n, d]."""
    heads, rows, width = q.shape
    with _kernels(q, _NEEDS_NO_MASK):
        if not q.is_cuda or q.dtype.itemsize == 2:
            mixed = functional.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True, enable_gqa=True)
            return mixed[0]
        # only the flash kernel knows groups, and it has 16 bits: without this, rows * rows weights would be written out
        shape = (k.shape[0], heads // k.shape[0])
        keys, values = (one[:, None].expand(*shape, -1, -1) for one in (k, v))
        mixed = functional.scaled_dot_product_attention(q.view(*shape, rows, width), keys, values, is_causal=True)
        return mixed.reshape(heads, rows, width)


def watch(q: Tensor, k: Tensor, v: Tensor, corner: Tensor) -> tuple[Tensor, Tensor]:
    """Like `extend`, and returns the attention itself.

    Args:
        corner: of `causal_corner(m, …)`.

    Returns:
        [heads, m, d], and the weights after the softmax [heads, m, n]: fp32, or fp64 where the model is.
    """
    heads, rows, _ = q.shape
    scores = _scores(q, k).view(heads, rows, -1)
    scores[:, :, -rows:] += corner
    weights = torch.softmax(scores, dim=-1, dtype=_wide(q.dtype))
    return _mix(weights, v, heads), weights


def survey(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Like `watch`, over memory of a fixed size.

    Args:
        k, v: [kv_heads, capacity, d], finite everywhere.
        mask: of `used_mask`, [m, capacity].

    Returns:
        [heads, m, d], and the weights [heads, m, capacity], 0 where the mask hides.
    """
    heads, rows, _ = q.shape
    scores = _scores(q, k).view(heads, rows, -1).add_(mask)
    weights = torch.softmax(scores, dim=-1, dtype=_wide(q.dtype))
    return _mix(weights, v, heads), weights


def _kernels(q: Tensor, kernels: list[SDPBackend]) -> AbstractContextManager[None]:
    return sdpa_kernel(kernels) if q.is_cuda else nullcontext()


def _scores(q: Tensor, k: Tensor) -> Tensor:
    """Scaled products [kv_heads, groups * m, n]; in fp32 where the device can sum 16-bit products so."""
    width = q.shape[-1]
    grouped = q.reshape(k.shape[0], -1, width) * width**-0.5
    if q.is_cuda and q.dtype.itemsize == 2:
        return torch.bmm(grouped, k.transpose(1, 2), out_dtype=torch.float32)
    return torch.bmm(grouped, k.transpose(1, 2))


def _mix(weights: Tensor, v: Tensor, heads: int) -> Tensor:
    """Values [heads, m, d] in proportion to weights [heads, m, n]."""
    mixed = torch.bmm(weights.to(v.dtype).view(v.shape[0], -1, v.shape[1]), v)
    return mixed.view(heads, -1, v.shape[2])


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32
