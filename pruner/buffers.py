"""The tensors of a fusion store: fixed capacity, rows in sequence order, compacted in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Rotate", "RowBuffers", "StoreShape"]

Rotate = Callable[[Tensor, Tensor], Tensor]
"""`rotate(keys [kv_heads, n, head_dim], positions int64 [3, n])`: the keys with the rotary embedding applied."""


@dataclass(frozen=True)
class StoreShape:
    """What a store needs to know of a model: shallow layers, key-value heads, size of a head and of a hidden state."""

    layers: int
    kv_heads: int
    head_dim: int
    hidden: int


class RowBuffers:
    """Everything a store keeps of a row on the device.

    Attributes:
        keys, values: [layers, kv_heads, capacity, head_dim], keys un-rotated.
        rotated: rotated keys, like `keys`; None where not wanted.
        hidden: [capacity, hidden].
        positions: int64 [3, capacity].
        novelty, importance: float32 [capacity].
    """

    def __init__(
        self, shape: StoreShape, capacity: int, *, rotated: bool, device: torch.device, dtype: torch.dtype
    ) -> None:
        per_head = (shape.layers, shape.kv_heads, capacity, shape.head_dim)
        # Zeros, not empty: a masked NaN left in unused memory would still poison a product over the whole capacity.
        self.keys = torch.zeros(per_head, device=device, dtype=dtype)
        self.values = torch.zeros_like(self.keys)
        self.rotated = torch.zeros_like(self.keys) if rotated else None
        self.hidden = torch.zeros(capacity, shape.hidden, device=device, dtype=dtype)
        self.positions = torch.zeros(3, capacity, device=device, dtype=torch.int64)
        self.novelty = torch.zeros(capacity, device=device)
        self.importance = torch.zeros(capacity, device=device)

    @staticmethod
    def bytes_for(shape: StoreShape, capacity: int, *, rotated: bool, dtype: torch.dtype) -> int:
        """Exactly what `nbytes` will be."""
        numbers = (2 + rotated) * shape.layers * shape.kv_heads * shape.head_dim + shape.hidden
        return capacity * (numbers * dtype.itemsize + 3 * torch.int64.itemsize + 2 * torch.float32.itemsize)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors, used or not."""
        tensors = [self.keys, self.values, self.hidden, self.positions, self.novelty, self.importance]
        return sum(tensor.nbytes for tensor in tensors) + (0 if self.rotated is None else self.rotated.nbytes)

    def copy_rows(self, source: RowBuffers, count: int) -> None:
        """Takes over the first `count` rows of another set of buffers."""
        for (mine, axis), (theirs, _) in zip(self._by_layer(), source._by_layer(), strict=True):
            mine.narrow(axis, 0, count).copy_(theirs.narrow(axis, 0, count))

    def compact(self, index: Tensor, start: int) -> None:
        """Moves the rows at `index` (int64 [k], ascending, each at least `start`) to `start`…`start + k - 1`.

        Layer by layer, so that the copy in flight is one layer's and not the store's.
        """
        for buffer, axis in self._by_layer():
            buffer.narrow(axis, start, len(index)).copy_(buffer.index_select(axis, index))

    def _by_layer(self) -> Iterator[tuple[Tensor, int]]:
        """Every tensor with the axis its rows lie on; those with a layer axis one layer at a time."""
        for stack in (self.keys, self.values, self.rotated):
            if stack is not None:
                yield from ((layer, 1) for layer in stack)
        yield self.hidden, 0
        yield self.positions, 1
        yield self.novelty, 0
        yield self.importance, 0
