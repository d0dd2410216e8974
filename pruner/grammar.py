"""What must leave a conversation together, so that the sequence that remains is one the model could have been given.

The sequence is `S (U G* Q A)*` (method.md section 2). A segment's bos and eos tokens leave with its last audiovisual
token. When a turn's text leaves, its scenes may stay: they then continue under one user wrapper into the next turn,
just as they would have if the question had never been asked.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pruner.eviction import spread
from pruner.tokens import Role, TokenRows

__all__ = ["orphans", "text_leaving"]

Mask = npt.NDArray[np.bool_]
TURN_TEXT = (Role.QUESTION, Role.HEADER, Role.ANSWER)


def orphans(rows: TokenRows, stays: Mask) -> Mask:
    """bool [n]: bos and eos rows of segments that keep no audiovisual row where only `stays` stay.

    The newest segment keeps its wrapper, since it may still be growing.
    """
    wrapper = np.isin(rows.role, (Role.OPEN, Role.CLOSE))
    represented = np.unique(rows.segment[rows.media & stays])
    return np.asarray(wrapper & ~np.isin(rows.segment, represented) & (rows.segment < rows.segment.max(initial=0)))


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
    wrapper = np.isin(rows.role, (Role.OPEN, Role.CLOSE)) & (rows.segment < rows.segment.max(initial=0))
    segments, weight = np.unique(rows.segment[wrapper], return_counts=True)
    stay = segments[spread(segments, weight, max(int(weight.sum()) - excess, 0), recent=1)]
    return np.isin(rows.segment, np.setdiff1d(segments, stay))
