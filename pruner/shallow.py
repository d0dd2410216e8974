"""The shallow half of a pass: new rows through layers 0…F-1, over what conversations' stores hold already."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from pruner.attention import causal_corner, causal_mask, extend, watch
from pruner.deep import add_level
from pruner.families.stack import TextStack
from pruner.packed import join, spans
from pruner.passes import Extension, Query

__all__ = ["ShallowLayers"]

_Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]


class ShallowLayers:
    """Layers 0…F-1, in the shapes that passes have.

    Args:
        stack: the model's decoder.
        depth: fusion depth F; with 0 there are none, and nothing may be asked of them.
    """

    def __init__(self, stack: TextStack, depth: int) -> None:
        self._stack, self._depth = stack, depth
        self._groups = stack.heads // stack.kv_heads

    def fuse(self, items: Sequence[Extension]) -> None:
        """Leaves new rows of several conversations in their stores (at most one item a store)."""
        self._run(items, [self._quiet(item) for item in items])

    def ask(self, items: Sequence[Query], media: Sequence[Tensor]) -> None:
        """The same with questions, of which the last `tail` rows score the audiovisual past.

        Args:
            items: at most one a store.
            media: of each, its store's audiovisual rows: int64 [m] on the device.
        """
        self._run(items, [self._watching(item, past) for item, past in zip(items, media, strict=True)])

    def _run(self, items: Sequence[Extension], attend: Sequence[_Attend]) -> None:
        """Layers 0…F-1 for new rows of several stores; leaves keys, values and hidden states in them."""
        starts = [item.store.begin(item.rows) for item in items]
        pieces = spans([len(item.rows) for item in items])
        hidden = join([item.embeddings for item in items], 0)
        new = [item.store.positions[:, start : item.store.length] for item, start in zip(items, starts, strict=True)]
        angles = self._stack.angles(join(new, 1))
        for layer in range(self._depth):
            q, k, turned, v = self._stack.project(layer, hidden, angles)
            mixed = []
            for item, start, span, attention in zip(items, starts, pieces, attend, strict=True):
                store, rotated, stop = item.store, item.store.rotated, item.store.length
                assert rotated is not None, "a store that is decoded from was given a rotation"
                store.keys[layer][:, start:stop] = k[:, span]
                store.values[layer][:, start:stop] = v[:, span]
                rotated[layer][:, start:stop] = turned[:, span]
                keys, values = rotated[layer][:, :stop], store.values[layer][:, :stop]
                mixed.append(attention(layer, q[:, span], keys, values))
            hidden = self._stack.finish(layer, hidden, join(mixed, 1))
            for item, span in zip(items, pieces, strict=True):
                add_level(hidden[span], item.added, layer)
        for item, start, span in zip(items, starts, pieces, strict=True):
            item.store.hidden[start : item.store.length] = hidden[span]
            item.store.settle(start)

    def _quiet(self, item: Extension) -> _Attend:
        """Attention of new rows that score nothing."""
        rows = len(item.rows)
        mask = None
        if rows > 1:
            keys = item.store.length + rows
            mask = causal_mask(rows, keys, self._groups, self._stack.dtype, self._stack.device)
        return lambda layer, q, k, v: extend(q, k, v, mask)

    def _watching(self, item: Query, media: Tensor) -> _Attend:
        """Attention of new rows of which the last `tail` score the audiovisual past."""
        corner = causal_corner(len(item.rows), self._stack.dtype, self._stack.device)

        def attention(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            mixed, weights = watch(q, k, v, corner)
            if len(media):
                item.pruner.observe(layer, weights[:, -item.tail :, media])
            return mixed

        return attention
