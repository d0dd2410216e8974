"""Positions that stay inside the range the model was trained on, however old the conversation is.

Keys are stored un-rotated, so a token's position may change after the fact. The rule:

1. While everything fits below `limit`, ids are exactly transformers' and nothing changes.
2. When the next `need` ids no longer fit, the clock is re-based so that a quarter of the range is free again.
3. Recent rows keep their distances to each other and to whatever comes next: all rows within half the range before
   the next id, widened to whole segments, move down together by one amount, the shift. (Where the widening or `need`
   leaves no room for that much, a quarter of the range, an eighth, and so on; a segment still open at least.)
4. Rows older than that are pulled together by shortening *gaps* only. All their ids (of all three axes together) are
   sorted; no two neighbours stay further apart than a common cap, the largest with which they fit. Distances up to
   the cap, and so the inside of a text, an audio second or a picture, stay exact; longer silences, left behind by
   evicted tokens or between seconds of video, are cut. The order of any two ids on any axes is kept.
5. Only if even a cap of 1 does not fit (more distinct old ids than room) do neighbouring old ids share a value.

Because cutting gaps twice is cutting them once with the smaller cap, a stream re-based a hundred times is not a
hundred times as distorted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pruner.errors import BudgetError
from pruner.tokens import Role, TokenRows

__all__ = ["Rebased", "rebase"]

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rebased:
    """Outcome of a re-basing.

    Attributes:
        position: int64 [n, 3], new ids of all rows.
        shift: ids by which recent rows, the next id and the base of an open segment move down.
    """

    position: Ids
    shift: int


def rebase(rows: TokenRows, *, next_id: int, limit: int, need: int) -> Rebased | None:
    """Applies the rule above; a pure function of its arguments.

    Args:
        rows: all rows in sequence order, at least one.
        next_id: the id the next token would get; above all ids in `rows`.
        limit: ids the model was trained on are 0…limit-1.
        need: ids the coming window or turn takes.

    Returns:
        None while everything fits.

    Raises:
        BudgetError: `need` and an open segment alone exceed the range.
    """
    if next_id + need <= limit:
        return None
    target = limit - max(need, limit // 4)
    exact = limit // 2
    boundary = _recent_from(rows, next_id - exact)
    while next_id - boundary > target:
        if not exact:
            raise BudgetError("position range", needed=next_id - boundary + need, available=limit)
        exact //= 2
        boundary = _recent_from(rows, next_id - exact)
    room = target - (next_id - boundary)
    ids = np.append(rows.position[rows.position < boundary], boundary)
    ticks = np.unique(np.append(ids, 0))
    squeezed = _squeeze(ticks, room)
    shift = boundary - int(squeezed[-1])
    old = rows.position < boundary
    position = np.where(old, squeezed[np.searchsorted(ticks, rows.position.clip(max=boundary))], rows.position - shift)
    return Rebased(position, shift)


def _recent_from(rows: TokenRows, horizon: int) -> int:
    """Lowest id of the rows at or after `horizon` and of an open segment, with the whole of their segments."""
    recent = rows.position.max(axis=1) >= horizon
    recent |= _open_segment(rows)
    recent |= (rows.segment >= 0) & np.isin(rows.segment, rows.segment[recent])
    return int(rows.position[recent].min()) if recent.any() else horizon


def _open_segment(rows: TokenRows) -> npt.NDArray[np.bool_]:
    """bool [n]: the rows of a segment that the next window may continue, so that its inside must not change."""
    newest = (rows.segment >= 0) & (rows.segment == rows.segment.max())
    closed = bool((newest & (rows.role == Role.CLOSE)).any())
    return np.zeros_like(newest) if closed else newest


def _squeeze(ticks: Ids, room: int) -> Ids:
    """New values of the ascending `ticks` (the first is 0), the last at most `room`, by capping the gaps."""
    gaps = np.diff(ticks)
    if len(gaps) > room:
        return np.arange(len(ticks)) * room // max(len(gaps), 1)
    low, high = 1, max(int(gaps.max(initial=1)), 1)
    while low < high:
        middle = (low + high + 1) // 2
        if int(np.minimum(gaps, middle).sum()) <= room:
            low = middle
        else:
            high = middle - 1
    return np.concatenate([[0], np.cumsum(np.minimum(gaps, low))]).astype(np.int64)
