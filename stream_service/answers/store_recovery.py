"""What a run of the server that did not end well left behind, read back from its log.

Events are read as plain JSON here: they may have been written by an earlier release, whose events had other fields.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from stream_service.answers.log import Interrupted, Opening
from stream_service.answers.store_schema import EVENTS, SESSIONS

_TURNS = ("question.accepted", "answer.delta", "answer.restarted", "answer.done", "answer.cancelled", "error")
_QUESTIONS = 256
"""The latest questions looked at: more than a session can have open."""


def interrupted(connection: Connection) -> list[tuple[Interrupted, int]]:
    """The sessions without an end, oldest first, each with the number of its newest event."""
    query = select(SESSIONS).where(SESSIONS.c.closed.is_(None)).order_by(SESSIONS.c.opened)
    return [(_read(connection, row), row.last) for row in connection.execute(query).all()]


def _read(connection: Connection, session: Row[Any]) -> Interrupted:
    newest = _newest(connection, session.id)
    window = _newest(connection, session.id, "window.fused")
    opened = datetime.fromtimestamp(session.opened / 1000, UTC)
    return Interrupted(
        Opening(session.id, session.name, session.options),
        at=0.0 if newest is None else newest["at"],
        wall=opened if newest is None else datetime.fromisoformat(newest["wall"]),
        windows=0 if window is None else window["index"] + 1,
        unanswered=_unanswered(connection, session.id),
    )


def _newest(connection: Connection, session: str, *types: str) -> dict[str, Any] | None:
    query = select(EVENTS.c.json).where(EVENTS.c.session == session)
    if types:
        query = query.where(EVENTS.c.type.in_(types))
    line = connection.execute(query.order_by(EVENTS.c.seq.desc()).limit(1)).scalar()
    return None if line is None else json.loads(line)


def _unanswered(connection: Connection, session: str) -> dict[str, str]:
    """The questions that were accepted and did not end, with what was published of their answers."""
    mine = EVENTS.c.session == session
    accepted = select(EVENTS.c.seq).where(mine, EVENTS.c.type == "question.accepted")
    earliest = connection.execute(accepted.order_by(EVENTS.c.seq.desc()).limit(_QUESTIONS)).scalars().all()
    if not earliest:
        return {}
    turns = select(EVENTS.c.json).where(mine, EVENTS.c.type.in_(_TURNS), EVENTS.c.seq >= earliest[-1])
    published: dict[str, str] = {}
    for line in connection.execute(turns.order_by(EVENTS.c.seq)).scalars():
        event = json.loads(line)
        question = event["question"]
        if event["type"] in ("question.accepted", "answer.restarted"):
            published[question] = ""
        elif event["type"] == "answer.delta":
            published[question] += event["text"]
        else:
            published.pop(question, None)
    return published
