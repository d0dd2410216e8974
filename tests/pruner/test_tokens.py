"""The token table: fixed capacity, rows in order, counts always right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pruner.errors import BudgetError
from pruner.tokens import NONE, Modality, Role, TokenRows, TokenTable


def rows(count: int, first: int = 0, *, media: bool = False) -> TokenRows:
    if media:
        return TokenRows.make(
            np.arange(first, first + count), sequence=first, role=Role.MEDIA, turn=0, modality=Modality.AUDIO, chunk=1
        )
    return TokenRows.make(np.arange(first, first + count), sequence=first, role=Role.QUESTION, turn=0)


def test_text_positions_are_equal_on_all_axes() -> None:
    made = rows(3, first=7)
    assert made.position.tolist() == [[7] * 3, [8] * 3, [9] * 3]
    assert made.sequence.tolist() == [7, 8, 9]
    assert made.chunk.tolist() == [NONE] * 3
    assert not made.media.any()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=8), st.randoms(use_true_random=False))
def test_what_was_appended_and_kept_is_what_is_there(sizes: list[tuple[int, bool]], random: object) -> None:
    table, parts, first = TokenTable(64), [], 0
    for size, media in sizes:
        parts.append(rows(size, first, media=media))
        assert table.append(parts[-1]) == first
        first += size
    assert table.rows.sequence.tolist() == list(range(first))
    assert table.media == sum(size for size, media in sizes if media)
    assert table.text == first - table.media
    kept = np.flatnonzero(np.random.default_rng(first).random(first) < 0.5)
    expected = TokenRows.concatenate(parts).take(kept) if parts else rows(0)
    table.keep(kept)
    assert table.rows.sequence.tolist() == expected.sequence.tolist()
    assert table.rows.role.tolist() == expected.role.tolist()
    assert table.media == int(expected.media.sum())


def test_truncating_forgets_the_end_only() -> None:
    table = TokenTable(10)
    table.append(rows(4))
    table.append(rows(5, first=4, media=True))
    table.truncate(6)
    assert (len(table), table.media, table.text) == (6, 2, 4)
    with pytest.raises(IndexError, match="outside"):
        table.truncate(7)


def test_a_full_table_refuses_and_stays_as_it_was() -> None:
    table = TokenTable(4)
    table.append(rows(3))
    with pytest.raises(BudgetError) as caught:
        table.append(rows(2, first=3))
    assert (caught.value.needed, caught.value.available) == (5, 4)
    assert len(table) == 3


def test_growing_keeps_the_rows() -> None:
    table = TokenTable(4)
    table.append(rows(3, media=True))
    grown = table.grown(9)
    assert (len(grown), grown.capacity, grown.media) == (3, 9, 3)
    assert grown.nbytes > table.nbytes
