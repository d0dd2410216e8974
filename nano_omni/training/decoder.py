"""The decoder over a packed batch: every stream's trunk and slots in one long row, attention by index ranges.

Tokens of one stream fill whole blocks of 128, so attention between streams is excluded by blocks alone. Inside a
stream a token sees [own, itself] and [0, limit) of the trunk (see `layout`), less what is out of its sight (`sight`).

Positions change as a conversation grows old, and keys with them. A question sees the trunk where it is today; the
trunk's own rows saw it where it was when they were fused. So below the fusion depth every key is there twice: column c
where it was, column N + c where it is.
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

Mask = Tensor | BlockMask
Angles = tuple[Tensor, Tensor]
"""Cosine and sine, float32 [N, head_dim] each."""
Rule = Callable[[Any, Any, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Ranges:
    """Who sees whom if nothing is missing, int32 [N] each: `first` is where the token's stream begins; `own` and
    `limit` are as in `layout`, shifted by it."""

    first: Tensor
    own: Tensor
    limit: Tensor

    copies = 1

    def rule(self) -> Rule:
        """Whether a row sees a column of its stream."""
        own, limit = self.own, self.limit

        def seen(batch: Any, head: Any, row: Tensor, column: Tensor) -> Tensor:
            return ((column <= row) & (column >= own[row])) | (column < limit[row])

        return seen


@dataclass(frozen=True, eq=False)
class Visibility:
    """Who sees whom at one layer, [N] each; see `sight` for what they mean. Rows may stand in any order within their
    stream: `place` is where each stood in the packed row, and all ranges and times speak of places.

    `dual`: keys are there twice, and `slot` says which a row looks at.
    """

    ranges: Ranges
    place: Tensor
    when: Tensor
    death: Tensor
    luck: Tensor
    phase: Tensor
    share: Tensor
    spared_from: Tensor
    spared_to: Tensor
    slot: Tensor
    dual: bool

    @property
    def copies(self) -> int:
        """Of the keys."""
        return 1 + self.dual

    def rule(self) -> Rule:
        """Whether a row sees a column of its stream."""
        size, own, limit, place = len(self.when), self.ranges.own, self.ranges.limit, self.place
        when, death, luck, phase, share = self.when, self.death, self.luck, self.phase, self.share
        spared_from, spared_to, slot, dual = self.spared_from, self.spared_to, self.slot, self.dual

        def seen(batch: Any, head: Any, row: Tensor, column: Tensor) -> Tensor:
            here = torch.where(column >= size, column - size, column) if dual else column
            there = place[here]
            inside = ((there <= place[row]) & (there >= own[row])) | (there < limit[row])
            turned = luck[here] + phase[row]
            stays = (luck[here] < 0) | (turned - turned.floor() < share[row])
            stays = stays | ((there >= spared_from[row]) & (there < spared_to[row]))
            found = inside & ((stays & (when[row] < death[here])) | (row == here))
            return found & ((column >= size) == (slot[row] > 0)) if dual else found

        return seen


@dataclass(frozen=True)
class Layer:
    """What one layer is run with: who sees whom, and the angles of queries and of keys, one or two sets of them."""

    mask: Mask
    query: Angles
    keys: tuple[Angles, ...]


def dense_masks(sights: Sequence[Ranges | Visibility]) -> list[Tensor]:
    """The masks written out, bool [N, N] or [N, 2 N] each; for tests and small batches on a CPU."""
    masks = []
    for sight in sights:
        ranges = sight.ranges if isinstance(sight, Visibility) else sight
        size = len(ranges.own)
        row, column = (torch.arange(n, device=ranges.own.device) for n in (size, size * sight.copies))
        seen = sight.rule()(0, 0, row[:, None], column[None, :])
        masks.append(seen & (ranges.first[column % size][None, :] == ranges.first[:, None]))
    return masks


def text_rotary(positions: Tensor, theta: float, sections: Sequence[int]) -> Angles:
    """Cosine and sine of the three-axis rotary embedding, float32 [N, 2 * sum(sections)], for `positions` [3, N]."""
    half = sum(sections)
    rates = theta ** -(torch.arange(half, device=positions.device, dtype=torch.float32) / half)
    # No table of axes: one made on the host would hold it up until the device has nothing left to do.
    axes = [axis[:, None].expand(-1, count) for axis, count in zip(positions.float(), sections, strict=True)]
    angles = torch.cat(axes, dim=1) * rates
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
