"""The fusion store: what the shallow layers have computed about a conversation, kept under a fixed budget.

For every row of the sequence it holds the keys and values of the F shallow layers and the hidden state that enters
layer F (method.md section 2). Buffers have a fixed capacity and rows lie in sequence order, so that a new row is
written in place and attention reads one contiguous view. Keys are kept un-rotated, which lets positions change; a
rotated copy is derived from them where a rotation is given, so that decoding need not rotate the past at every step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pruner.buffers import Rotate, RowBuffers, StoreShape
from pruner.chunks import Chunk, ChunkRecord
from pruner.clock import rebase
from pruner.errors import BudgetError, StateError
from pruner.eviction import EvictionReport, EvictionRule
from pruner.grammar import idle_wrappers, text_leaving
from pruner.novelty import neighbours, novelty
from pruner.tokens import TokenRows, TokenTable
from pruner.transfer import Fetched, upload

__all__ = ["Chunk", "FusionStore", "Mark", "Rotate", "StoreShape"]

Ids = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Mark:
    """A length of the store to which it can be truncated while no row before it has moved."""

    length: int
    epoch: int


class FusionStore:
    """Shallow keys, values and hidden states of one conversation.

    Args:
        shape: the model's sizes.
        budget: most audiovisual tokens held.
        text: most other tokens held (system prompt, wrappers, questions, answers).
        device, dtype: of keys, values and hidden states.
        rotate: applies the rotary embedding; None keeps no rotated copy.
        eviction: how tokens are chosen when the budget is full.

    Attributes:
        keys, values: [layers, kv_heads, capacity, head_dim], keys un-rotated; replaced when the budget changes.
        rotated: like `keys`, rotated; None without a rotation.
        hidden: [capacity, hidden], what enters layer F.
        positions: int64 [3, capacity] on the device, a copy of the table's.
        table: the rows' metadata, on the host.
        epoch: counts changes that move rows or positions; a cache derived from the store is valid for one epoch.
    """

    def __init__(
        self,
        shape: StoreShape,
        *,
        budget: int,
        text: int,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        rotate: Rotate | None = None,
        eviction: EvictionRule | None = None,
    ) -> None:
        if budget < 1 or text < 1:
            raise BudgetError("fusion store", needed=1, available=min(budget, text))
        self.shape, self.budget, self.text_bound = shape, budget, text
        self.device, self.dtype = torch.device(device), dtype
        self.eviction = eviction or EvictionRule()
        self.table = TokenTable(budget + text)
        self.epoch = 0
        self._truncations = 0
        self._record = ChunkRecord()
        self._rotate = rotate
        self._allocate()

    def _allocate(self) -> None:
        rotated = self._rotate is not None
        self._buffers = RowBuffers(self.shape, self.capacity, rotated=rotated, device=self.device, dtype=self.dtype)
        self.keys, self.values, self.rotated = self._buffers.keys, self._buffers.values, self._buffers.rotated
        self.hidden, self.positions = self._buffers.hidden, self._buffers.positions

    # Figures.

    @property
    def length(self) -> int:
        """Rows in use."""
        return len(self.table)

    @property
    def capacity(self) -> int:
        """Rows that fit: budget and text bound."""
        return self.table.capacity

    @property
    def media(self) -> int:
        """Audiovisual tokens held."""
        return self.table.media

    @property
    def text(self) -> int:
        """Other tokens held."""
        return self.table.text

    @property
    def rows(self) -> TokenRows:
        """Metadata of the rows in use (views)."""
        return self.table.rows

    @property
    def chunks(self) -> Mapping[int, Chunk]:
        """Chunks that still have tokens, by number."""
        return self._record.alive

    @property
    def version(self) -> tuple[int, int]:
        """Changes with every change of rows that were there before, so that a copy of them is valid for one version."""
        return self.epoch, self._truncations

    @property
    def coverage(self) -> float:
        """Share of the chunks ever added that still have tokens; 1.0 before the first."""
        return self._record.coverage

    @property
    def raw_tokens(self) -> int:
        """Raw audiovisual tokens of the chunks still represented: the base of retention."""
        return self._record.raw_tokens

    @property
    def nbytes(self) -> int:
        """Bytes of all buffers, measured."""
        return self._buffers.nbytes + self.table.nbytes

    @staticmethod
    def bytes_for(
        shape: StoreShape, budget: int, text: int, dtype: torch.dtype = torch.float32, *, rotated: bool = True
    ) -> int:
        """Bytes a store will take, in advance: exactly its `nbytes`."""
        capacity = budget + text
        return RowBuffers.bytes_for(shape, capacity, rotated=rotated, dtype=dtype) + TokenTable(capacity).nbytes

    # Growing and shrinking at the end.

    def add_chunk(self, number: int, start: float, end: float, raw_video: int, raw_audio: int) -> None:
        """Announces a chunk whose rows follow, or more raw tokens of one that is already there."""
        self._record.add(number, Chunk(start, end, raw_video, raw_audio))

    def begin(self, rows: TokenRows) -> int:
        """Adds rows at the end; their keys, values and hidden states are then written in place by the caller.

        Never evicts: `evict_for` makes room.

        Returns:
            index of the first new row.

        Raises:
            BudgetError: the audiovisual budget or the text bound would be exceeded; nothing was added.
        """
        media = int(np.count_nonzero(rows.media))
        if self.media + media > self.budget:
            raise BudgetError("audiovisual budget", needed=self.media + media, available=self.budget)
        if self.text + len(rows) - media > self.text_bound:
            raise BudgetError("text bound", needed=self.text + len(rows) - media, available=self.text_bound)
        start = self.table.append(rows)
        here = slice(start, self.length)
        self._place(here, rows.position)
        if media:
            self._buffers.novelty[here] = 0
            self._buffers.importance[here] = 0
        return start

    def settle(self, start: int) -> None:
        """Rates how new the audiovisual rows from `start` on are, once their hidden states have been written."""
        if not self.table.media_from(start):  # most calls: an answer grows by a row at a time
            return
        for here, past in neighbours(self.rows, start):
            index = self._index(here)
            self._buffers.novelty[index] = novelty(self.hidden[index], self.hidden[self._index(past)])

    def mark(self) -> Mark:
        """The present length, to truncate to later."""
        return Mark(self.length, self.epoch)

    def truncate(self, mark: Mark) -> None:
        """Forgets every row added since `mark`, and chunks that lose all their rows by it.

        Raises:
            StateError: rows have moved since.
        """
        if mark.epoch != self.epoch:
            raise StateError("truncate", "rows have moved since the mark", "take the mark after making room")
        self.table.truncate(mark.length)
        self._truncations += 1
        self._record.forget(self.rows.chunk.tolist())

    # Keeping to the budget.

    def note_importance(self, scores: Tensor) -> None:
        """Remembers what a question cared for; eviction spares it.

        Args:
            scores: float [m], scores of the first m audiovisual rows, in order, at least one of them positive.
        """
        index = self._index(np.flatnonzero(self.rows.media)[: len(scores)])
        relative = scores.float() / scores.amax().clamp(min=torch.finfo(torch.float32).tiny)
        self._buffers.importance[index] = torch.maximum(self._buffers.importance[index], relative)

    def evict_for(self, media: int = 0, text: int = 0) -> EvictionReport:
        """Makes room for `media` audiovisual and `text` other rows; nothing happens where they fit.

        Raises:
            BudgetError: room cannot be made; nothing was evicted.
        """
        if media > self.budget:
            raise BudgetError("audiovisual budget", needed=media, available=self.budget)
        limit = self.media
        if self.media + media > self.budget:
            limit = max(self.budget - media - int(self.budget * self.eviction.slack), 0)
        kept = self._plan(limit)
        rows = self.rows.take(kept)
        excess = len(rows) - int(np.count_nonzero(rows.media)) + text - self.text_bound
        if excess <= 0:
            return self._keep(kept, rows.turn)
        leaving, turn = text_leaving(rows, excess)
        missing = excess - int(np.count_nonzero(leaving & ~rows.media))
        if missing > 0:
            raise BudgetError("text bound", needed=self.text_bound + missing, available=self.text_bound)
        return self._keep(kept[~leaving], turn[~leaving])

    def set_budget(self, budget: int) -> EvictionReport:
        """Changes the audiovisual budget: a lower one evicts, and memory follows in both directions."""
        if budget < 1:
            raise BudgetError("fusion store", needed=1, available=budget)
        kept = self._plan(min(budget, self.media))
        report = self._keep(kept, self.rows.turn[kept])
        self.budget, self.table = budget, self.table.grown(budget + self.text_bound)
        old = self._buffers
        self._allocate()
        self._buffers.copy_rows(old, self.length)
        self.epoch += 1
        return report

    def rebase(self, *, limit: int, next_id: int, need: int) -> int:
        """Keeps positions inside the trained range (see `pruner.clock`).

        Returns:
            ids by which the caller's next id and open segment base move down; 0 where everything fits.
        """
        moved = rebase(self.rows, next_id=next_id, limit=limit, need=need) if self.length else None
        if moved is None:
            return 0
        self.rows.position[:] = moved.position
        self._place(slice(0, self.length), moved.position)
        if self._rotate is not None and self.rotated is not None:
            here = slice(0, self.length)
            for keys, rotated in zip(self.keys, self.rotated, strict=True):
                rotated[:, here] = self._rotate(keys[:, here], self.positions[:, here])
        self.epoch += 1
        return moved.shift

    def _plan(self, limit: int) -> Ids:
        """Rows that stay when at most `limit` audiovisual tokens may."""
        if self.media <= limit:
            return np.arange(self.length)
        # The only wait for the device: two short columns, once an eviction.
        columns = torch.stack((self._buffers.novelty, self._buffers.importance))
        new, importance = Fetched(columns[:, : self.length]).numpy()
        stays = self.eviction.surviving(self.rows, new, importance, limit)
        kept = np.flatnonzero(stays)
        idle = idle_wrappers(self.rows.take(kept), joined=self.eviction.joined, recent=self.eviction.recent)
        return kept[~idle]

    def _keep(self, kept: Ids, turn: npt.NDArray[np.integer]) -> EvictionReport:
        """Lets all rows but `kept` go; `turn` is the kept rows' turn from now on."""
        before, media = self.length, self.media
        if len(kept) == before:
            return EvictionReport()
        moved = int(np.argmax(np.append(kept, before) != np.arange(len(kept) + 1)))
        self._buffers.compact(self._index(kept[moved:]), moved)
        self.table.keep(kept)
        self.rows.turn[:] = turn
        self.epoch += 1
        evicted, thinned = media - self.media, self._record.keep(self.rows.chunk.tolist())
        return EvictionReport(evicted, thinned, before - self.length - evicted, kept)

    def _place(self, where: slice, position: npt.NDArray[np.integer]) -> None:
        self.positions[:, where] = upload(position.T, self.device)

    def _index(self, rows: Ids) -> Tensor:
        return upload(rows, self.device)
