"""Re-basing: exact while it fits, order kept, the recent past untouched, any number of times."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pruner.clock import Rebased, rebase
from pruner.errors import BudgetError
from pruner.tokens import Role, TokenRows


def conversation(seed: int) -> tuple[TokenRows, int]:
    """System text, then segments of 1 to 4 seconds with a subset of their tokens, with text and pauses between."""
    random = np.random.default_rng(seed)
    parts, clock = [text(range(random.integers(1, 6)))], 5
    for number in range(random.integers(1, 40)):
        base = clock
        for _ in range(random.integers(1, 5)):
            grid = np.asarray([[clock, base + row, base + column] for row in range(3) for column in range(3)])
            sound = np.repeat(np.arange(clock, clock + 25)[:, None], 3, axis=1)
            chosen = np.concatenate([grid, sound])[random.random(34) < 0.2]
            parts.append(TokenRows.make(chosen, sequence=0, role=Role.MEDIA, turn=0, segment=number))
            clock += 25
        words = int(random.integers(0, 11))
        parts.append(text(range(clock, clock + words)))
        clock += words + int(random.choice([0, 0, 200]))
    return TokenRows.concatenate(parts), clock


def text(ids: range) -> TokenRows:
    return TokenRows.make(np.asarray(ids, dtype=np.int64), sequence=0, role=Role.QUESTION, turn=0)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(450, 2_000), st.integers(1, 60))
def test_positions_fit_keep_their_order_and_recent_distances(seed: int, limit: int, need: int) -> None:
    rows, next_id = conversation(seed)
    moved = rebase(rows, next_id=next_id, limit=limit, need=need)
    if next_id + need <= limit:
        assert moved is None
        return
    assert moved is not None
    before, after = rows.position.ravel(), moved.position.ravel()
    assert next_id - moved.shift + need <= limit
    assert after.min() >= 0
    assert after.max() < next_id - moved.shift
    order = np.argsort(before, kind="stable")
    assert (np.diff(after[order]) >= 0).all()
    assert (after[before == 0] == 0).all()
    recent = rows.position.min(axis=1) >= next_id - limit // 4
    assert (rows.position[recent] - moved.position[recent] == moved.shift).all()
    newest = (rows.segment >= 0) & (rows.segment == rows.segment.max())
    assert (rows.position[newest] - moved.position[newest] == moved.shift).all()


def test_only_long_gaps_are_cut() -> None:
    rows = text(range(0, 3))
    rows = TokenRows.concatenate([rows, text(range(100, 103)), text(range(900, 910))])
    moved = rebase(rows, next_id=910, limit=512, need=1)
    assert moved is not None
    assert moved.position[:3, 0].tolist() == [0, 1, 2]
    assert np.diff(moved.position[3:6, 0]).tolist() == [1, 1]
    assert np.diff(moved.position[6:, 0]).tolist() == [1] * 9
    assert moved.position[3, 0] - moved.position[2, 0] == 98  # shorter than the cap: exact


def test_cutting_twice_is_no_worse_than_the_smaller_cut() -> None:
    """A stream that runs for hours keeps distinct, ordered ids and never leaves the range."""
    limit, clock = 1_000, 10
    rows = text(range(10))
    for chunk in range(2_000):
        moved = rebase(rows, next_id=clock, limit=limit, need=60)
        if moved is not None:
            rows = TokenRows.make(moved.position, sequence=0, role=rows.role, turn=0, segment=rows.segment)
            clock -= moved.shift
        tick = TokenRows.make(np.full((2, 3), clock), sequence=0, role=Role.MEDIA, turn=0, segment=chunk)
        rows = TokenRows.concatenate([rows, tick])
        keep = np.ones(len(rows), dtype=bool)
        if len(rows) > 110:  # evict an old chunk, not always the oldest
            keep[10 + 2 * (chunk * 7 % 30) :][:2] = False
        rows = rows.take(keep)
        clock += 50
        assert rows.position.max() < limit
    distinct = np.unique(rows.position[rows.segment >= 0, 0])
    assert len(distinct) == len(np.unique(rows.segment[rows.segment >= 0]))


def test_more_old_ids_than_room_share_values_in_order() -> None:
    rows = text(range(3_000))
    moved = rebase(rows, next_id=3_000, limit=1_000, need=1)
    assert isinstance(moved, Rebased)
    assert (np.diff(moved.position[:, 0]) >= 0).all()
    assert moved.position.max() < 750
    assert np.diff(moved.position[-400:, 0]).tolist() == [1] * 399


def test_a_turn_larger_than_the_range_is_refused() -> None:
    with pytest.raises(BudgetError, match="position range"):
        rebase(text(range(50)), next_id=50, limit=100, need=101)
