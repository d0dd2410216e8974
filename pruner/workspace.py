"""Memory of passes that are recorded as graphs: the same addresses whichever conversation they work for.

A graph is bound to the addresses it was recorded with, and a conversation's store lies elsewhere than the next one's.
So the rows that attention reads, rotated keys and values, are copied here first, against a graph for every
conversation: 28 KB a row in one half of Qwen2.5-Omni-7B, which for 5,000 rows take 65 microseconds of an H200's
bandwidth. What is already here is not copied again, so an answer costs its rows once.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import torch
from torch import Tensor

from pruner.deep import DeepCache
from pruner.families.stack import TextStack
from pruner.graphs import rung
from pruner.store import FusionStore

__all__ = ["COLUMNS", "Workspace"]

COLUMNS = 512
"""Finest step of sizes that attention works over, in rows: few enough sizes for their graphs, while the columns that
are too many are no more than a thirtieth of a pass's arithmetic (Qwen2.5-Omni-7B, 5,000 rows)."""


@dataclass(frozen=True)
class _Held:
    """Whose rows lie here: of each layer so many."""

    owner: weakref.ref[FusionStore] | weakref.ref[DeepCache]
    version: tuple[int, int]
    rows: tuple[int, ...]


class Workspace:
    """Keys and values of one conversation's shallow layers and of one turn's deep layers.

    Args:
        stack: the decoder.
        depth: fusion depth F.
        step: finest step of sizes, in rows.

    Attributes:
        shallow: [2, F, kv_heads, rows, head_dim], rotated keys and values; finite everywhere.
        deep: [2, L - F, kv_heads, rows, head_dim], likewise.
    """

    def __init__(self, stack: TextStack, depth: int, step: int = COLUMNS) -> None:
        self._stack, self._depth, self._finest = stack, depth, step
        self.shallow, self.deep = self._memory(depth, 0), self._memory(stack.layers - depth, 0)
        self._store: _Held | None = None
        self._cache: _Held | None = None

    def bytes_for(self, shallow: int, deep: int) -> tuple[int, int]:
        """Bytes for so many rows of each shallow and each deep layer, and the rows that a shallow one then has."""
        stack, columns = self._stack, rung(shallow, self._finest)
        rows = self._depth * columns + (stack.layers - self._depth) * rung(deep, self._finest)
        return 2 * rows * stack.kv_heads * stack.head_dim * stack.dtype.itemsize, columns

    @property
    def nbytes(self) -> int:
        """Bytes of all memory here, measured."""
        return self.shallow.nbytes + self.deep.nbytes

    def reserve(self, shallow: int, deep: int) -> bool:
        """Makes room for so many rows of each layer, and says whether memory has moved for it."""
        moved = False
        if shallow > self.shallow.shape[3]:
            self.shallow, self._store, moved = self._memory(self._depth, rung(shallow, self._finest)), None, True
        if deep > self.deep.shape[3]:
            layers = self._stack.layers - self._depth
            self.deep, self._cache, moved = self._memory(layers, rung(deep, self._finest)), None, True
        return moved

    def hold(self, store: FusionStore) -> None:
        """Sees to it that all rows of a store are here."""
        assert store.rotated is not None, "a store that is decoded from was given a rotation"
        known = self._known(self._store, store, store.version, 1)[0]
        if known < store.length:
            here = slice(known, store.length)
            self.shallow[0, :, :, here] = store.rotated[:, :, here]
            self.shallow[1, :, :, here] = store.values[:, :, here]
        self.held(store)

    def held(self, store: FusionStore) -> None:
        """Notes that all rows of a store are here."""
        self._store = _Held(weakref.ref(store), store.version, (store.length,))

    def hold_cache(self, cache: DeepCache) -> None:
        """Sees to it that all rows of a turn's deep cache are here."""
        known = self._known(self._cache, cache, (0, 0), len(cache.used))
        for layer, (start, stop) in enumerate(zip(known, cache.used, strict=True)):
            if start < stop:
                self.deep[:, layer, :, start:stop] = cache.part(layer, start, stop)
        self.held_cache(cache)

    def held_cache(self, cache: DeepCache) -> None:
        """Notes that all rows of a deep cache are here."""
        self._cache = _Held(weakref.ref(cache), (0, 0), cache.used)

    @staticmethod
    def _known(
        held: _Held | None, owner: FusionStore | DeepCache, version: tuple[int, int], layers: int
    ) -> tuple[int, ...]:
        """Rows of each layer that need not be copied again."""
        if held is None or held.owner() is not owner or held.version != version:
            return (0,) * layers
        return held.rows

    def _memory(self, layers: int, rows: int) -> Tensor:
        # zeros: what a mask hides must still be finite
        shape = (2, layers, self._stack.kv_heads, rows, self._stack.head_dim)
        return torch.zeros(shape, dtype=self._stack.dtype, device=self._stack.device)
