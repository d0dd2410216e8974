"""What must leave a conversation together, so that the sequence that remains is one the model could have been given.

The sequence is `S (U G* Q A)*` (method.md section 2). A segment's bos and eos tokens leave with its last audiovisual
token. Neighbouring segments of which little is left are joined into one by taking out the eos and bos between them:
text is never pruned, so the wrappers of a long past would otherwise cost more than the past itself. When a turn's text
leaves, its scenes may stay: they then continue under one user wrapper into the next turn, just as they would have if
the question had never been asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pruner.eviction import spread
from pruner.tokens import Role, TokenRows

__all__ = ["Run", "idle_wrappers", "runs", "text_leaving"]

Mask = npt.NDArray[np.bool_]
TURN_TEXT = (Role.QUESTION, Role.HEADER, Role.ANSWER)


@dataclass(frozen=True)
class Run:
    """A segment, or several joined: rows `start…media` open it, `media…end` are audiovisual, `end…stop` close it."""

    start: int
    media: int
    end: int
    stop: int

    @property
    def closed(self) -> bool:
        """Whether it can no longer grow."""
        return self.end < self.stop


def runs(rows: TokenRows) -> Iterator[Run]:
    """The segments of a sequence, in order."""
    opening = rows.role == Role.OPEN
    starts = np.flatnonzero(opening & ~np.append(False, opening[:-1]))
    outside = np.flatnonzero(~np.isin(rows.role, (Role.OPEN, Role.MEDIA, Role.CLOSE)))
    for start, following in zip(starts, np.append(starts, len(rows))[1:], strict=True):
        after = outside[np.searchsorted(outside, start) :]
        stop = min(int(following), int(after[0])) if len(after) else int(following)
        roles = rows.role[start:stop]
        closing = int(np.count_nonzero(roles == Role.CLOSE))
        yield Run(int(start), int(start) + int(np.count_nonzero(roles == Role.OPEN)), stop - closing, stop)


def idle_wrappers(rows: TokenRows, *, joined: int, recent: int) -> Mask:
    """bool [n]: bos and eos rows that have nothing left to wrap, or that stand between segments to be joined.

    Args:
        joined: chunks that a joined segment may have.
        recent: segments with a chunk among so many newest ones are not joined.
    """
    leaving = np.zeros(len(rows), dtype=np.bool_)
    horizon = rows.chunk.max(initial=0) - recent
    before: Run | None = None
    size, edge = 0, -1
    for run in runs(rows):
        if run.closed and run.media == run.end:
            leaving[run.start : run.stop] = True
            edge = run.stop if edge == run.start else edge
            continue
        chunks = len(np.unique(rows.chunk[run.media : run.end]))
        old = run.closed and rows.chunk[run.end - 1] <= horizon
        if before and old and edge == run.start and size + chunks <= joined and _alike(rows, before, run):
            leaving[before.end : before.stop] = True
            leaving[run.start : run.media] = True
            size += chunks
        else:
            size = chunks
        before, edge = run, run.stop
    return leaving


def _alike(rows: TokenRows, one: Run, other: Run) -> bool:
    """Whether two runs have the same tracks, and so the same wrapper: two bos rows, or one and the same modality."""
    width = one.media - one.start
    return width == other.media - other.start and (width > 1 or rows.modality[one.media] == rows.modality[other.media])


def text_leaving(rows: TokenRows, excess: int) -> tuple[Mask, npt.NDArray[np.integer]]:
    """Which rows leave so that at least `excess` rows that are not audiovisual do, as far as that is possible.

    The oldest turns go first. A turn whose scenes stay hands them to the next turn, whose user wrapper goes instead;
    the newest turn keeps its text while it has scenes and no successor. If that is not enough (many short segments),
    whole segments leave, evenly over the past.

    Returns:
        bool [n] of leaving rows, and int [n] the turn of every row afterwards.
    """
    leaving = np.zeros(len(rows), dtype=np.bool_)
    turn = rows.turn.copy()
    for number in np.unique(rows.turn[np.isin(rows.role, TURN_TEXT)]):
        if leaving.sum() >= excess:
            return leaving, turn
        own = turn == number
        if not (own & rows.media).any():
            leaving |= own
            continue
        later = turn[turn > number]
        if not len(later):
            break
        heir = later.min()
        leaving |= own & np.isin(rows.role, TURN_TEXT)
        leaving |= (turn == heir) & (rows.role == Role.USER)
        turn[own] = heir
    missing = excess - int(leaving.sum())
    if missing > 0:
        leaving |= _segments_leaving(rows, missing)
    return leaving, turn


def _segments_leaving(rows: TokenRows, excess: int) -> Mask:
    """bool [n]: rows of whole segments, evenly chosen among all but the newest, with `excess` wrapper rows or more."""
    leaving = np.zeros(len(rows), dtype=np.bool_)
    old = list(runs(rows))[:-1]
    at = np.asarray([run.start for run in old])
    weight = np.asarray([run.stop - run.end + run.media - run.start for run in old])
    stay = set(spread(at, weight, max(int(weight.sum()) - excess, 0), recent=1).tolist())
    for index, run in enumerate(old):
        leaving[run.start : run.stop] = index not in stay
    return leaving
