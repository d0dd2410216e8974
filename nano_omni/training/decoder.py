"""The decoder over a packed batch: every stream's trunk and slots in one long row, attention by index ranges.

Tokens of one stream fill whole blocks of 128, so attention between streams is excluded by blocks alone. Inside a
stream a token sees [own, itself] and [0, limit) of the trunk (see `layout`). In the deep half a share of the
audiovisual tokens is hidden, which is what answering after guidance looks like to the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from nano_omni.training.towers import compiled, rms_norm, rotate

BLOCK = 128
Mask = Tensor | BlockMask


@dataclass(frozen=True)
class Visibility:
    """Who sees whom, [N] each, in indices of the packed row.

    `first` is where the token's stream begins, `own` and `limit` are as in `layout` but shifted by it. `luck` in [0,
    1) decides whether an audiovisual token is dropped (-1: text, never); a row sees the tokens whose luck, turned by
    its `phase`, lies below its `share` at that layer.
    """

    first: Tensor
    own: Tensor
    limit: Tensor
    luck: Tensor
    phase: Tensor
    shares: Tensor  # [groups, N]


def dense_masks(visibility: Visibility, groups: Sequence[int | None]) -> list[Mask]:
    """The masks written out, bool [N, N] each; for tests and small batches on a CPU."""
    index = torch.arange(len(visibility.own), device=visibility.own.device)
    inside = index[None, :] >= visibility.first[:, None]
    return [_rule(visibility, group)(0, 0, index[:, None], index[None, :]) & inside for group in groups]


def block_masks(visibility: Visibility, groups: Sequence[int | None]) -> list[Mask]:
    """Masks for FlexAttention, one for each of `groups` (None: nothing dropped); all share one table of blocks."""
    tables = _blocks(visibility)
    return [BlockMask.from_kv_blocks(*tables, BLOCK_SIZE=BLOCK, mask_mod=_rule(visibility, group)) for group in groups]


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Mask) -> Tensor:
    if isinstance(mask, Tensor):
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)
    mixed = flex_attention(query, key, value, block_mask=mask, enable_gqa=True)
    assert isinstance(mixed, Tensor)
    return mixed


def _rule(visibility: Visibility, group: int | None) -> Callable[[Any, Any, Tensor, Tensor], Tensor]:
    own, limit, luck, phase = visibility.own, visibility.limit, visibility.luck, visibility.phase

    def causal(batch: Any, head: Any, row: Tensor, column: Tensor) -> Tensor:
        return ((column <= row) & (column >= own[row])) | (column < limit[row])

    if group is None:
        return causal
    share = visibility.shares[group]

    def thinned(batch: Any, head: Any, row: Tensor, column: Tensor) -> Tensor:
        turned = luck[column] + phase[row]
        alive = (luck[column] < 0) | (turned - turned.floor() < share[row])
        return causal(batch, head, row, column) & (alive | (row == column))

    return thinned


def _blocks(visibility: Visibility) -> tuple[Tensor, Tensor]:
    """Number and indices of the key blocks that each block of rows touches."""
    size = len(visibility.own) // BLOCK
    first = visibility.first.view(size, BLOCK)[:, 0] // BLOCK
    own = visibility.own.view(size, BLOCK).amin(1) // BLOCK
    limit = (visibility.limit.view(size, BLOCK).amax(1) + BLOCK - 1) // BLOCK
    index = torch.arange(size, device=first.device)
    row, column = index[:, None], index[None, :]
    touched = ((column <= row) & (column >= own[:, None])) | (column < limit[:, None])
    touched &= column >= first[:, None]
    order = torch.argsort(touched.int(), dim=1, descending=True, stable=True).int()
    return touched.sum(1).int()[None, None], order[None, None]


def text_rotary(positions: Tensor, theta: float, sections: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the three-axis rotary embedding, float32 [N, 2 * sum(sections)], for `positions` [3, N]."""
    half = sum(sections)
    rates = theta ** -(torch.arange(half, device=positions.device, dtype=torch.float32) / half)
    axes = torch.repeat_interleave(
        torch.arange(3, device=positions.device), torch.tensor(sections, device=positions.device), output_size=half
    )
    angles = positions.float()[axes].T * rates
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


def decode(text: Any, embeds: Tensor, cos: Tensor, sin: Tensor, masks: Sequence[Mask]) -> Tensor:
    """Hidden states after the final norm of one packed row.

    Args:
        text: transformers' text model (layers, norm).
        embeds: [N, hidden].
        cos, sin: from `text_rotary`.
        masks: who sees whom, one per layer.

    Returns:
        [N, hidden].
    """
    x = embeds
    run = compiled(_layer) if x.is_cuda else _layer
    for layer, mask in zip(text.layers, masks, strict=True):
        x = run(layer, x, cos, sin, mask)
    return rms_norm(x, text.norm)


def _layer(layer: Any, x: Tensor, cos: Tensor, sin: Tensor, mask: Mask) -> Tensor:
    attention, normed = layer.self_attn, rms_norm(x, layer.input_layernorm)
    query, key, value = (
        part(normed).view(len(x), -1, attention.head_dim).transpose(0, 1)
        for part in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    mixed = _attend(rotate(query, cos, sin)[None], rotate(key, cos, sin)[None], value[None], mask)
    x = x + attention.o_proj(mixed[0].transpose(0, 1).reshape(len(x), -1))
    out: Tensor = x + layer.mlp(rms_norm(x, layer.post_attention_layernorm))
    return out
