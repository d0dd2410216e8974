"""The short passes of the decoder with fixed shapes and addresses, so that they can be replayed as CUDA graphs.

Three passes are short enough for the host to be what takes longest: new rows through the shallow layers, a question
through the same, and a step of an answer through all layers. Each works on memory of its own (`pruner.recorded`), over
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
from torch import Tensor

from pruner.deep import DeepCache
from pruner.families.stack import TextStack
from pruner.graphs import GraphPool, rung
from pruner.guidance import Guidance, Score
from pruner.passes import Extension, Query
from pruner.recorded import MOST_ROWS, RecordedPasses
from pruner.store import FusionStore
from pruner.tokens import TokenRows
from pruner.transfer import put
from pruner.workspace import COLUMNS, Workspace

__all__ = ["FixedPasses"]

MOST_ASKING = 256
"""The same of a question, whose attention is written out: [heads, rows, columns] in fp32 (see `MOST_ROWS`)."""
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
        self._depth, self._columns = depth, columns
        self._passes = RecordedPasses(stack, depth, self.space)

    def reserve(self, shallow: int, deep: int) -> None:
        """Makes room for stores and deep caches of so many rows a layer; afterwards they cost no further memory."""
        if self.space.reserve(shallow + MOST_ROWS, deep):
            self._passes.widen(self.space.shallow.shape[3])
            self.pool.clear()

    def bytes_for(self, shallow: int, deep: int) -> int:
        """Bytes once `reserve` was called for so many rows, graphs not counted: exactly what `nbytes` will be then."""
        space, columns = self.space.bytes_for(shallow + MOST_ROWS, deep)
        return space + self._passes.bytes_for(columns)

    @property
    def nbytes(self) -> int:
        """Bytes of all memory here, graphs not counted; measured."""
        return self.space.nbytes + self._passes.nbytes

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
            guidance.note(self._passes.scores[media])

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
        put(self._passes.step, np.concatenate((rows.position[0], [start] * self._depth, cache.used)))
        self._passes.token.copy_(token)
        sizes = rung(start + 1, self._columns), rung(deep, self._columns)
        self.pool.run(("step", *sizes), partial(self._passes.answer, *sizes))
        self._leave(store, start)
        cache.append(self._passes.row)
        self.space.held_cache(cache)
        return self._passes.logits.clone(), self._passes.next.clone()

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
        put(self._passes.where[: len(where)], where)
        self._passes.given[:count] = item.embeddings
        self._passes.given[count:rows] = 0
        self.pool.run((score, rows, columns), partial(self._passes.shallow, rows, columns, score))
        self._leave(store, start)
        store.settle(start)

    def _leave(self, store: FusionStore, start: int) -> None:
        """Copies what a pass made of the rows from `start` on to their store."""
        assert store.rotated is not None, "a store that is decoded from was given a rotation"
        here, count = slice(start, store.length), store.length - start
        store.keys[:, :, here] = self._passes.keys[:, :, :count]
        store.rotated[:, :, here] = self.space.shallow[0, :, :, here]
        store.values[:, :, here] = self.space.shallow[1, :, :, here]
        store.hidden[here] = self._passes.hidden[:count]
        self.space.held(store)
