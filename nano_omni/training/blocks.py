"""Which blocks of attention are worth computing: tables for FlexAttention, made on the device, for all layers at once.

A pair of blocks of 128 rows and 128 columns is *left out* if bounds of what its rows and columns hold show that no row
sees any column; it is *full* if they show that all rows see all columns, and then no mask is evaluated in it.
Everything between is *partial*. Bounds are the least and the most of each quantity over a block.

Nothing waits for the device here, and nothing depends on how many blocks are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask

from nano_omni.training.decoder import Ranges, Visibility

BLOCK = 128


def block_masks(sights: Sequence[Ranges | Visibility]) -> list[BlockMask]:
    """Masks for FlexAttention, one for each of `sights`; equal ones share one.

    Args:
        sights: of one packed row whose length is a multiple of 128, and whose streams begin at multiples of it.
    """
    made: dict[int, BlockMask] = {}
    for like in _alike(sights):
        pairs = [_pairs(sight) for sight in like]
        touched, full = (torch.stack(tables) for tables in zip(*pairs, strict=True))
        parts = [_listed(table) for table in (touched & ~full, full)]
        parts += [_listed(table.mT) for table in (touched & ~full, full)]
        length = BLOCK * touched.shape[1]
        for at, sight in enumerate(like):
            count, index, full_count, full_index, q_count, q_index, full_q_count, full_q_index = (
                part[at] for table in parts for part in table
            )
            made[id(sight)] = BlockMask(
                seq_lengths=(length, length * sight.copies),
                kv_num_blocks=count,
                kv_indices=index,
                full_kv_num_blocks=full_count,
                full_kv_indices=full_index,
                q_num_blocks=q_count,
                q_indices=q_index,
                full_q_num_blocks=full_q_count,
                full_q_indices=full_q_index,
                BLOCK_SIZE=(BLOCK, BLOCK),
                mask_mod=sight.rule(),
            )
    return [made[id(sight)] for sight in sights]


def _alike(sights: Sequence[Ranges | Visibility]) -> list[list[Ranges | Visibility]]:
    """Distinct ones in groups whose tables are of one shape."""
    groups: dict[int, dict[int, Ranges | Visibility]] = {}
    for sight in sights:
        groups.setdefault(sight.copies, {})[id(sight)] = sight
    return [list(group.values()) for group in groups.values()]


@dataclass(frozen=True)
class _Bounds:
    """Least and most over each block."""

    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, values: Tensor) -> _Bounds:
        low, high = values.view(-1, BLOCK).aminmax(dim=1)
        return cls(low, high)

    @property
    def rows(self) -> _Bounds:
        return _Bounds(self.low[:, None], self.high[:, None])

    @property
    def columns(self) -> _Bounds:
        return _Bounds(self.low[None, :], self.high[None, :])


def _pairs(sight: Ranges | Visibility) -> tuple[Tensor, Tensor]:
    """Which pairs are not left out, and which are full: bool [blocks, copies * blocks] each."""
    ranges = sight.ranges if isinstance(sight, Visibility) else sight
    index = torch.arange(len(ranges.own), dtype=ranges.own.dtype, device=ranges.own.device)
    place = _Bounds.of(sight.place if isinstance(sight, Visibility) else index)
    own, limit = _Bounds.of(ranges.own).rows, _Bounds.of(ranges.limit).rows
    row, column = place.rows, place.columns
    stream = ranges.first[::BLOCK]
    same = stream[:, None] == stream[None, :]
    touched = same & (((column.low <= row.high) & (column.high >= own.low)) | (column.low < limit.high))
    full = same & (((column.high <= row.low) & (column.low >= own.high)) | (column.high < limit.low))
    if not isinstance(sight, Visibility):
        return touched, full
    when, death = _Bounds.of(sight.when).rows, _Bounds.of(sight.death).columns
    itself = torch.eye(len(stream), dtype=torch.bool, device=stream.device)
    touched &= ((when.low < death.high) | itself) & _of_use(sight)[:, None]
    nothing_drops = (_Bounds.of(sight.share).low >= 1)[:, None] | (_Bounds.of(sight.luck).high < 0)[None, :]
    full &= touched & (when.high < death.low) & nothing_drops
    if not sight.dual:
        return touched, full
    slot = _Bounds.of(sight.slot).rows
    before, now = slot.low == 0, slot.high == 1
    return (
        torch.cat([touched & before, touched & now], dim=1),
        torch.cat([full & ~now, full & ~before], dim=1),
    )


def _of_use(sight: Visibility) -> Tensor:
    """Which blocks of rows anything depends on, bool [blocks].

    What dies before the first moment at which its stream looks is seen by itself alone, in this layer and all further
    ones: its states may become anything. That text is asked for its prediction, so it is left alone.
    """
    first = sight.ranges.first
    stream = first[::BLOCK].long() // BLOCK
    lowest = _Bounds.of(sight.when).low
    begin = torch.full_like(lowest, torch.iinfo(lowest.dtype).max).scatter_reduce(0, stream, lowest, "amin")[stream]
    gone = (sight.death.view(-1, BLOCK) <= begin[:, None]) & (sight.luck.view(-1, BLOCK) >= 0)
    return ~gone.all(1)


def _listed(table: Tensor) -> tuple[Any, Any]:
    """Number and indices, ascending, of what is true in each row of `table` [L, r, c]: int32 [L, 1, 1, r] and
    [L, 1, 1, r, c]."""
    kinds, rows, columns = table.shape
    count = table.sum(-1, dtype=torch.int32)
    place = table.cumsum(-1, dtype=torch.int32) - 1
    index = torch.zeros((kinds, rows, columns + 1), dtype=torch.int32, device=table.device)
    values = torch.arange(columns, dtype=torch.int32, device=table.device).expand(kinds, rows, columns)
    index.scatter_(-1, torch.where(table, place, columns).long(), values)
    return count[:, None, None], index[..., :-1].contiguous()[:, None, None]
