"""The decoder over a packed batch: every stream's trunk and slots in one long row, attention by index ranges.

Tokens of one stream fill whole blocks of 128, so attention between streams is excluded by blocks alone. Inside a
stream a token sees [own, itself] and [0, limit) of the trunk (see `layout`), less what is out of its sight (`sight`).

Positions change as a conversation grows old, and keys with them. A question sees the trunk where it is today; the
trunk's own rows saw it where it was when they were fused. So below the fusion depth every key is there twice: column c
where it was, column N + c where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from nano_omni.training.towers import compiled, rms_norm, rotate

BLOCK = 128
Mask = Tensor | BlockMask
Angles = tuple[Tensor, Tensor]
"""Cosine and sine, float32 [N, head_dim] each."""
_Rule = Callable[[Any, Any, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Ranges:
    """Who could see whom if nothing were ever missing, int32 [N] each: `first` is where the token's stream begins;
    `own` and `limit` are as in `layout`, shifted by it."""

    first: Tensor
    own: Tensor
    limit: Tensor


@dataclass(frozen=True)
class Visibility:
    """Who sees whom at one layer, [N] each, in indices of the packed row; see `sight` for what they mean.

    `dual`: keys are there twice, and `slot` says which a row looks at.
    """

    ranges: Ranges
    when: Tensor
    death: Tensor
    luck: Tensor
    phase: Tensor
    share: Tensor
    spared_from: Tensor
    spared_to: Tensor
    slot: Tensor
    dual: bool


@dataclass(frozen=True)
class Layer:
    """What one layer is run with: who sees whom, and the angles of queries and of keys, one or two sets of them."""

    mask: Mask
    query: Angles
    keys: tuple[Angles, ...]


def causal(ranges: Ranges) -> _Rule:
    """Nothing is missing."""
    own, limit = ranges.own, ranges.limit

    def rule(batch: Any, head: Any, row: Tensor, column: Tensor) -> Tensor:
        return ((column <= row) & (column >= own[row])) | (column < limit[row])

    return rule


def limited(sight: Visibility) -> _Rule:
    """What is in sight at one layer."""
    inside, size = causal(sight.ranges), len(sight.when)
    when, death, luck, phase, share = sight.when, sight.death, sight.luck, sight.phase, sight.share
    spared_from, spared_to, slot, dual = sight.spared_from, sight.spared_to, sight.slot, sight.dual

    def rule(batch: Any, head: Any, row: Tensor, column: Tensor) -> Tensor:
        here = torch.where(column >= size, column - size, column) if dual else column
        turned = luck[here] + phase[row]
        stays = (luck[here] < 0) | (turned - turned.floor() < share[row])
        stays = stays | ((here >= spared_from[row]) & (here < spared_to[row]))
        seen = inside(batch, head, row, here) & ((stays & (when[row] < death[here])) | (row == here))
        return seen & ((column >= size) == (slot[row] > 0)) if dual else seen

    return rule


def dense_masks(rules: Sequence[_Rule], size: int, columns: Sequence[int], ranges: Sequence[Ranges]) -> list[Mask]:
    """The masks written out, bool [size, columns] each; for tests and small batches on a CPU."""
    masks: list[Mask] = []
    for rule, count, range_ in zip(rules, columns, ranges, strict=True):
        row, column = (torch.arange(n, device=range_.own.device) for n in (size, count))
        seen = rule(0, 0, row[:, None], column[None, :])
        masks.append(seen & (column[None, :] % size >= range_.first[:, None]))
    return masks


def block_masks(rules: Sequence[_Rule], size: int, columns: Sequence[int], ranges: Sequence[Ranges]) -> list[Mask]:
    """Masks for FlexAttention, one for each rule; those of equal `ranges` and columns share one table of blocks."""
    made: dict[tuple[int, int], BlockMask] = {}
    masks: list[Mask] = []
    for rule, count, range_ in zip(rules, columns, ranges, strict=True):
        key = id(range_), count
        if key not in made:
            tables = _blocks(range_, count // size)
            made[key] = BlockMask.from_kv_blocks(*tables, BLOCK_SIZE=BLOCK, mask_mod=rule, seq_lengths=(size, count))
        mask = copy(made[key])  # turning a table round, as backward passes need it, costs a millisecond
        mask.mask_mod = rule
        masks.append(mask)
    return masks


def _blocks(ranges: Ranges, copies: int) -> tuple[Tensor, Tensor]:
    """Number and indices of the key blocks that each block of rows touches; with two copies, of both."""
    size = len(ranges.own) // BLOCK
    first = ranges.first.view(size, BLOCK)[:, 0] // BLOCK
    own = ranges.own.view(size, BLOCK).amin(1) // BLOCK
    limit = (ranges.limit.view(size, BLOCK).amax(1) + BLOCK - 1) // BLOCK
    index = torch.arange(size, device=first.device)
    row, column = index[:, None], index[None, :]
    touched = ((column <= row) & (column >= own[:, None])) | (column < limit[:, None])
    touched &= column >= first[:, None]
    touched = touched.repeat(1, copies)
    order = torch.argsort(touched.int(), dim=1, descending=True, stable=True).int()
    return touched.sum(1).int()[None, None], order[None, None]


def text_rotary(positions: Tensor, theta: float, sections: Sequence[int]) -> Angles:
    """Cosine and sine of the three-axis rotary embedding, float32 [N, 2 * sum(sections)], for `positions` [3, N]."""
    half = sum(sections)
    rates = theta ** -(torch.arange(half, device=positions.device, dtype=torch.float32) / half)
    axes = torch.repeat_interleave(
        torch.arange(3, device=positions.device), torch.tensor(sections, device=positions.device), output_size=half
    )
    angles = positions.float()[axes].T * rates
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


def decode(text: Any, embeds: Tensor, layers: Sequence[Layer]) -> Tensor:
    """Hidden states after the final norm of one packed row.

    Args:
        text: transformers' text model (layers, norm).
        embeds: [N, hidden].
        layers: one for each of the model's.

    Returns:
        [N, hidden].
    """
    x = embeds
    run = compiled(_layer) if x.is_cuda else _layer
    for layer, how in zip(text.layers, layers, strict=True):
        x = run(layer, x, how.mask, how.query, how.keys)
    return rms_norm(x, text.norm)


def _layer(layer: Any, x: Tensor, mask: Mask, at: Angles, keys: tuple[Angles, ...]) -> Tensor:
    attention, normed = layer.self_attn, rms_norm(x, layer.input_layernorm)
    query, key, value = (
        part(normed).view(len(x), -1, attention.head_dim).transpose(0, 1)
        for part in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    key = torch.cat([rotate(key, *angles) for angles in keys], dim=1)
    value = torch.cat([value] * len(keys), dim=1)
    mixed = _attend(rotate(query, *at)[None], key[None], value[None], mask)
    x = x + attention.o_proj(mixed[0].transpose(0, 1).reshape(len(x), -1))
    out: Tensor = x + layer.mlp(rms_norm(x, layer.post_attention_layernorm))
    return out


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Mask) -> Tensor:
    if isinstance(mask, Tensor):
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)
    mixed = flex_attention(query, key, value, block_mask=mask, enable_gqa=True)
    assert isinstance(mixed, Tensor)
    return mixed
