"""The short passes of the decoder with fixed shapes and addresses, so that they can be replayed as CUDA graphs.

Three passes are short enough for the host to be what takes longest: new rows through the shallow layers, a question
through the same, and a step of an answer through all layers. Here each works on memory of its own (`Workspace`), over
as many rows and columns as the next size up (`rung`), and reads from the device how much of that is in use: where new
rows begin, their positions, which of them ask. Rows that are too many compute something finite that nobody reads;
columns that are too many are masked. What a pass leaves is then copied to where it belongs.

The deep layers of a guided pass stay as they are: how many rows each has follows from the question's schedule, seldom
twice the same, and over a full store they are work enough for the device.

On a CPU the same passes run, and give the same numbers, without being recorded.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from pruner.attention import cover, survey, used_mask
from pruner.deep import DeepCache
from pruner.families.stack import TextStack
from pruner.graphs import GraphPool, rung
from pruner.guidance import Guidance, Score
from pruner.passes import Extension, Query
from pruner.store import FusionStore
from pruner.tokens import TokenRows
from pruner.transfer import put
from pruner.workspace import COLUMNS, Workspace

__all__ = ["MOST_ROWS", "FixedPasses"]

MOST_ROWS = 1024
"""Rows of a pass above which the device has enough to do."""
MOST_ASKING = 256
"""The same of a question, whose attention is written out: [heads, rows, columns] in fp32."""
_ROWS = 16
"""Finest step of a pass's number of rows."""


class FixedPasses:
    """The short passes of one model.

    Args:
        stack: the decoder.
        depth: fusion depth F, at least 1.
        pool: runs the passes; cleared whenever the memory they work on moves.
        columns: finest step of sizes that attention works over, in rows; a power of two.

    Attributes:
        pool: as given.
        space: the memory that attention reads.
    """

    def __init__(self, stack: TextStack, depth: int, pool: GraphPool, *, columns: int = COLUMNS) -> None:
        self.pool = pool
        self.space = Workspace(stack, depth, columns)
        self._stack, self._depth, self._columns = stack, depth, columns
        # what passes are given: where new rows begin, which of them ask, positions; of a step, position and lengths
        self._where = self._new(3 + 3 * MOST_ROWS, dtype=torch.int64)
        self._step = self._new(3 + stack.layers, dtype=torch.int64)
        self._token = self._new(1, dtype=torch.int64)
        self._given = self._new(MOST_ROWS, stack.hidden_size)
        # what they leave
        self._hidden = self._new(MOST_ROWS, stack.hidden_size)
        self._keys = self._new(depth, stack.kv_heads, MOST_ROWS, stack.head_dim)
        self._scores = self._new(0)
        self._logits = self._new(stack.vocabulary)
        self._next = self._new(1, dtype=torch.int64)
        self._row = self._new(2, stack.layers - depth, stack.kv_heads, stack.head_dim)
        self._deep_layers = torch.arange(stack.layers - depth, device=stack.device)

    def reserve(self, shallow: int, deep: int) -> None:
        """Makes room for stores and deep caches of so many rows a layer; afterwards they cost no further memory."""
        if self.space.reserve(shallow + MOST_ROWS, deep):
            self._scores = self._new(self.space.shallow.shape[3], dtype=self._wide)
            self.pool.clear()

    def bytes_for(self, shallow: int, deep: int) -> int:
        """Bytes once `reserve` was called for so many rows, graphs not counted: exactly what `nbytes` will be then."""
        space, scores = self.space.bytes_for(shallow + MOST_ROWS, deep)
        own = sum(one.nbytes for one in self._own())
        return space + scores * self._wide.itemsize + own

    @property
    def nbytes(self) -> int:
        """Bytes of all memory here, graphs not counted; measured."""
        return self.space.nbytes + self._scores.nbytes + sum(one.nbytes for one in self._own())

    @staticmethod
    def takes(item: Extension) -> bool:
        """Whether rows can be fused so."""
        return len(item.rows) <= MOST_ROWS and item.added is None

    @staticmethod
    def takes_question(item: Query) -> bool:
        """Whether a question can be asked so."""
        return len(item.rows) <= MOST_ASKING and item.added is None and isinstance(item.pruner, Guidance)

    def fuse(self, item: Extension) -> None:
        """Runs new rows through the shallow layers and leaves them in their store."""
        self._extend(item, None, (0, 0))

    def ask(self, item: Query, media: Tensor) -> None:
        """The same with a question, whose scores the guidance is told.

        Args:
            item: see `takes_question`.
            media: int64 [m] on the device, the store's audiovisual rows.
        """
        guidance = item.pruner
        assert isinstance(guidance, Guidance), "takes_question was asked before"
        first, last = len(item.rows) - item.tail, len(item.rows)
        if guidance.score == "mean":
            last = first + guidance.question
        self._extend(item, guidance.score, (first, last))
        if len(media):
            guidance.note(self._scores[media])

    def step(self, store: FusionStore, rows: TokenRows, cache: DeepCache, token: Tensor) -> tuple[Tensor, Tensor]:
        """Runs one answer token through all layers, and leaves it in the store and the deep cache.

        Args:
            store: has room for it.
            rows: its one row.
            cache: of the turn.
            token: int64 [1] on the device.

        Returns:
            [vocabulary] logits of the next token, and the likeliest, int64 [1].
        """
        start, deep = store.length, max(cache.used) + 1
        self.reserve(start + 1, deep)
        self.space.hold(store)
        self.space.hold_cache(cache)
        store.begin(rows)
        put(self._step, np.concatenate((rows.position[0], [start] * self._depth, cache.used)))
        self._token.copy_(token)
        sizes = rung(start + 1, self._columns), rung(deep, self._columns)
        self.pool.run(("step", *sizes), partial(self._answer, *sizes))
        self._leave(store, start)
        cache.append(self._row)
        self.space.held_cache(cache)
        return self._logits.clone(), self._next.clone()

    def _extend(self, item: Extension, score: Score | None, asking: tuple[int, int]) -> None:
        store, count = item.store, len(item.rows)
        start, rows = store.length, rung(count, _ROWS)
        columns = rung(start + rows, self._columns)
        self.reserve(start, 0)
        self.space.hold(store)
        store.begin(item.rows)
        where = np.zeros(3 + 3 * rows, dtype=np.int64)
        where[:3] = start, *asking
        where[3:].reshape(3, rows)[:, :count] = item.rows.position.T
        put(self._where[: len(where)], where)
        self._given[:count] = item.embeddings
        self._given[count:rows] = 0
        self.pool.run((score, rows, columns), partial(self._shallow, rows, columns, score))
        self._leave(store, start)
        store.settle(start)

    def _leave(self, store: FusionStore, start: int) -> None:
        """Copies what a pass made of the rows from `start` on to their store."""
        assert store.rotated is not None, "a store that is decoded from was given a rotation"
        here, count = slice(start, store.length), store.length - start
        store.keys[:, :, here] = self._keys[:, :, :count]
        store.rotated[:, :, here] = self.space.shallow[0, :, :, here]
        store.values[:, :, here] = self.space.shallow[1, :, :, here]
        store.hidden[here] = self._hidden[:count]
        self.space.held(store)

    # What is recorded: no shape, address or decision in these may depend on anything but their arguments.

    def _shallow(self, rows: int, columns: int, score: Score | None) -> None:
        """Layers 0…F-1 for `rows` rows over `columns` columns; with a score, what the asking rows look at."""
        stack, numbers = self._stack, torch.arange(rows, device=self._stack.device)
        angles = stack.angles(self._where[3 : 3 + 3 * rows].view(3, rows))
        index = self._where[0] + numbers
        mask = used_mask(index, columns, stack.dtype)
        asking = (numbers >= self._where[1]) & (numbers < self._where[2])
        hidden = self._given[:rows]
        scores: Tensor | None = None
        for layer in range(self._depth):
            q, k, turned, v = stack.project(layer, hidden, angles)
            keys, values = self._write(self.space.shallow, layer, index, turned, v)
            self._keys[layer, :, :rows] = k
            if score is None:
                mixed = cover(q, keys[:, :columns], values[:, :columns], mask)
            else:
                mixed, weights = survey(q, keys[:, :columns], values[:, :columns], mask)
                if (
                    score != "mean" or layer == self._depth - 1
                ):  # a mean is of one layer, the last before the first drop
                    scores = _observed(weights, asking, score, scores)
            hidden = stack.finish(layer, hidden, mixed)
        self._hidden[:rows] = hidden
        if scores is not None:
            self._scores[:columns] = scores

    def _answer(self, shallow: int, deep: int) -> None:
        """All layers for one row, over so many columns of the shallow and of the deep layers."""
        stack, depth, lengths = self._stack, self._depth, self._step[3:]
        angles = stack.angles(self._step[:3].view(3, 1))
        masks = used_mask(lengths[0], shallow, stack.dtype), used_mask(lengths[depth:], deep, stack.dtype)
        hidden = stack.embed(self._token)
        for layer in range(stack.layers):
            below, at = layer < depth, lengths[layer : layer + 1]
            q, k, turned, v = stack.project(layer, hidden, angles)
            if below:
                keys, values = self._write(self.space.shallow, layer, at, turned, v)
                self._keys[layer, :, :1] = k
                mixed, _ = survey(q, keys[:, :shallow], values[:, :shallow], masks[0])
            else:
                keys, values = self._write(self.space.deep, layer - depth, at, turned, v)
                mixed, _ = survey(q, keys[:, :deep], values[:, :deep], masks[1][layer - depth])
            hidden = stack.finish(layer, hidden, mixed)
            if layer == depth - 1:
                self._hidden[:1] = hidden
        self._row.copy_(self.space.deep[:, self._deep_layers, :, lengths[depth:]].transpose(0, 1))
        logits = stack.logits(hidden)[0]
        self._logits.copy_(logits)
        self._next.copy_(logits.argmax(dim=-1, keepdim=True))

    @staticmethod
    def _write(memory: Tensor, layer: int, index: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Puts new rows in their places and returns the layer's keys and values."""
        all_keys, all_values = memory[0, layer], memory[1, layer]
        all_keys.index_copy_(1, index, keys)
        all_values.index_copy_(1, index, values)
        return all_keys, all_values

    def _own(self) -> list[Tensor]:
        """Memory whose size does not depend on any conversation."""
        given = [self._where, self._step, self._token, self._given]
        return [*given, self._hidden, self._keys, self._logits, self._next, self._row, self._deep_layers]

    @property
    def _wide(self) -> torch.dtype:
        return torch.float64 if self._stack.dtype == torch.float64 else torch.float32

    def _new(self, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        return torch.zeros(shape, dtype=dtype or self._stack.dtype, device=self._stack.device)


def _observed(weights: Tensor, asking: Tensor, score: Score, before: Tensor | None) -> Tensor:
    """`Guidance.observe` on all columns, where which rows ask is known on the device only.

    Args:
        weights: [heads, rows, columns], after the softmax.
        asking: bool [rows].
        before: [columns], the scores so far.
    """
    if score == "mean":
        share = asking.to(weights.dtype) / asking.sum()
        return share @ weights.mean(dim=0)
    peak = weights.amax(dim=0).masked_fill(~asking[:, None], 0).amax(dim=0)
    return peak if before is None else torch.maximum(before, peak)
