"""What is left of a stream's past when it is asked about: everything, some tokens, the last windows, or a full store.

Training sees what the pruner makes of a stream. Here a conversation's rows are played, on the host, through the rules
of the live fusion store (`pruner.eviction`, `pruner.grammar`, `pruner.clock`): how many tokens each window keeps as the
budget fills up, which wrappers leave, how positions are re-based. Which tokens of a window go first is decided on the
device, where their content is known, so a window's deaths are listed by rank: first those of the tokens that stay
longest. For the same reason every window counts as informing alike.

Times are rows of the conversation: what dies at row t is seen by the rows before t and by no row from t on.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nano_omni.training.layout import IDS_PER_SECOND, VIDEO, Column, Rows
from pruner.clock import rebase
from pruner.eviction import EvictionRule, quotas
from pruner.grammar import idle_wrappers
from pruner.tokens import Role, TokenRows

NEVER = np.int32(2**30)
_COLUMNS = 6
_WRAPPERS = 7  # rows that may come with a window: eos and bos of segments, a user header
_TURN = 96  # ids of a question and its answer, mostly fewer


@dataclass(frozen=True)
class Past:
    """When the rows of a conversation die, and where the living are.

    Attributes:
        deaths: int32 [trunk]. At a text row its own death; at the rows of a window, in their order, the deaths of its
            tokens by rank.
        clock: int32 [ids], today's position id for each id that was once given; the identity where nothing moved.
        reach: position ids that a row sees back when it is fused; `NEVER` for all.
    """

    deaths: NDArray[np.int32]
    clock: NDArray[np.int32]
    reach: int = int(NEVER)


def untouched(trunk: Rows) -> Past:
    """Everything stays where it is."""
    return Past(np.full(len(trunk), NEVER, dtype=np.int32), _identity(trunk))


def thinned(trunk: Rows, share: float) -> Past:
    """Only a share of each window's tokens enters the decoder at all."""
    past = untouched(trunk)
    for first, last in windows_of(trunk):
        past.deaths[first + max(1, round(share * (last - first))) : last] = 0
    return past


def sliding(trunk: Rows, windows: int) -> Past:
    """Every row sees its own window and the `windows - 1` before it."""
    past, spans = untouched(trunk), windows_of(trunk)
    for (first, last), (later, _) in zip(spans, spans[windows:], strict=False):
        past.deaths[first:last] = later
    return past


def windows_of(trunk: Rows) -> list[tuple[int, int]]:
    """First row and past the last one of each window's tokens."""
    media = np.flatnonzero(trunk[:, Column.CHUNK] >= 0)
    starts = np.unique(trunk[media, Column.CHUNK], return_index=True)[1]
    edges = np.append(starts, len(media))
    return [(int(media[a]), int(media[b - 1]) + 1) for a, b in pairwise(edges)]


def stored(trunk: Rows, budget: int, limit: int, random: np.random.Generator, rule: EvictionRule | None = None) -> Past:
    """What a fusion store of `budget` audiovisual tokens and `limit` position ids makes of a stream.

    Raises:
        BudgetError: a window does not fit into the budget, or the ids of an open segment not into the limit.
    """
    store = _Store(trunk, budget, limit, rule or EvictionRule(), random)
    begun = 0
    for first, last in windows_of(trunk):
        store.make_room(last - first, begun)
        store.rebase(_WRAPPERS + IDS_PER_SECOND * _seconds(trunk[first:last]), begun)
        store.append(begun, last)
        begun = last
    store.append(begun, len(trunk))
    store.rebase(_TURN, len(trunk))
    return Past(store.deaths, store.clock, limit)


def _seconds(window: Rows) -> int:
    return len(np.unique(window[window[:, Column.KIND] == VIDEO, Column.SOURCE])) or 2


def _identity(trunk: Rows) -> NDArray[np.int32]:
    # A question, an answer and a last window after the conversation take ids of their own.
    return np.arange(int(trunk[:, Column.POSITION].max()) + 512, dtype=np.int32)


class _Store:
    """Rows alive, as the pruner's store would hold them."""

    def __init__(self, trunk: Rows, budget: int, limit: int, rule: EvictionRule, random: np.random.Generator) -> None:
        self._budget, self._limit, self._rule = budget, limit, rule
        self.deaths = np.full(len(trunk), NEVER, dtype=np.int32)
        self.clock = _identity(trunk)
        self._ranks = np.zeros(len(trunk), dtype=np.int32)
        self._starts = np.zeros(len(trunk), dtype=np.int32)
        for first, last in windows_of(trunk):
            self._ranks[first:last], self._starts[first:last] = random.permutation(last - first), first
        self._table = _table(trunk, random)
        self._given = np.append(trunk[:, Column.POSITION], _end(trunk))
        self._alive = np.zeros(0, dtype=np.int64)
        self._media = 0

    def append(self, first: int, last: int) -> None:
        """Rows that are fused."""
        self._alive = np.concatenate([self._alive, np.arange(first, last)])
        self._media += int(np.count_nonzero(self._table.role[first:last] == Role.MEDIA))

    def make_room(self, count: int, now: int) -> None:
        """Evict until a window of `count` tokens fits; its rows begin at `now`."""
        if self._media + count <= self._budget:
            return
        rows = self._table.take(self._alive)
        limit = max(self._budget - count - int(self._budget * self._rule.slack), 0)
        numbers, sizes = np.unique(rows.chunk[rows.media], return_counts=True)
        allowed = np.zeros(int(rows.chunk.max()) + 1, dtype=np.int64)
        allowed[numbers] = quotas(numbers, sizes, np.ones(len(numbers)), limit, self._rule)
        gone = rows.media & (self._ranks[self._alive] >= allowed[rows.chunk])
        lost = self._alive[gone]
        self.deaths[self._starts[lost] + self._ranks[lost]] = now
        self._media -= len(lost)
        left = self._alive[~gone]
        idle = idle_wrappers(rows.take(~gone), joined=self._rule.joined, recent=self._rule.recent)
        self.deaths[left[idle]] = now
        self._alive = left[~idle]

    def rebase(self, need: int, now: int) -> None:
        """Move positions down where `need` more ids, of rows from `now` on, would pass the limit."""
        next_id = int(self.clock[self._given[now]])
        if next_id + need <= self._limit or not len(self._alive):
            return
        rows = self._table.take(self._alive)
        rows.position[:] = self.clock[rows.position]
        moved = rebase(rows, next_id=next_id, limit=self._limit, need=need)
        assert moved is not None, "the limit was passed"
        known, first = np.unique(np.append(rows.position, next_id), return_index=True)
        places = np.append(moved.position, next_id - moved.shift)[first]
        squeezed = np.floor(np.interp(self.clock, known, places) + 1e-9)
        self.clock = np.where(self.clock >= next_id, self.clock - moved.shift, squeezed).astype(np.int32)


def _end(trunk: Rows) -> int:
    """The id that follows a conversation."""
    last = trunk[-1]
    open_ = int(last[Column.ROLE]) == Role.MEDIA
    return int(last[Column.POSITION]) + (2 * IDS_PER_SECOND if open_ else 1)


def _table(trunk: Rows, random: np.random.Generator) -> TokenRows:
    """The conversation's rows as the store's table; which cell a merged video token lies in is drawn."""
    time, base = trunk[:, Column.POSITION], trunk[:, Column.BASE]
    kind, rank = trunk[:, Column.KIND], trunk[:, Column.RANK]
    position = np.stack([time + np.where(kind > VIDEO, rank, 0)] * 3, 1).astype(np.int64)
    seen = kind == VIDEO
    cell = random.integers(0, _COLUMNS, (len(trunk), 2))
    position[seen, 1:] = base[seen, None] + cell[seen]
    return TokenRows.make(
        position,
        sequence=0,
        role=trunk[:, Column.ROLE],
        turn=0,
        modality=kind,
        chunk=trunk[:, Column.CHUNK],
        segment=trunk[:, Column.SEGMENT],
    )
