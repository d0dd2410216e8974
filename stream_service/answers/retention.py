"""How long the durable log remembers: events leave it, oldest first, by age and by total size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, select, text, update

from stream_service.answers.store_schema import EVENTS, SESSIONS
from stream_service.answers.store_writer import ROW

_STEP = 500
"""Events deleted in one transaction: a few milliseconds, for which new events may have to wait."""
_PAGES = 256
"""SQLite pages given back to the file system at a time."""


class Retention:
    """Deletes what is too old or too much; implements :class:`~stream_service.answers.store_writer.Housekeeper`.

    Sessions that are open lose their oldest events like any other, but keep their numbering; a closed session is
    forgotten with its last event.

    Args:
        keep_s: age at which an event goes, in seconds; infinite: never.
        keep_size: size of the log above which its oldest events go (see ``store_writer.size_of``).
        now: the time of day, in milliseconds since 1970.
    """

    def __init__(self, keep_s: float, keep_size: int, now: Callable[[], int]) -> None:
        self._keep_ms = keep_s * 1000
        self._keep_size = keep_size
        self._now = now

    def tidy(self, connection: Connection) -> bool:
        """Delete up to a step's worth of events; returns whether there may be more to delete."""
        columns = (EVENTS.c.id, EVENTS.c.session, EVENTS.c.stored, (func.length(EVENTS.c.json) + ROW).label("size"))
        oldest = connection.execute(select(*columns).order_by(EVENTS.c.id).limit(_STEP)).all()
        leaving = self._leaving(oldest, self._excess(connection))
        if leaving:
            connection.execute(delete(EVENTS).where(EVENTS.c.id <= leaving[-1].id))
            for session in {row.session for row in leaving}:
                gone = sum(row.size for row in leaving if row.session == session)
                shrunk = update(SESSIONS).where(SESSIONS.c.id == session).values(size=SESSIONS.c.size - gone)
                connection.execute(shrunk)
        held = select(EVENTS.c.id).where(EVENTS.c.session == SESSIONS.c.id).exists()
        connection.execute(delete(SESSIONS).where(SESSIONS.c.closed.is_not(None), ~held))
        if connection.dialect.name == "sqlite":
            connection.execute(text(f"PRAGMA incremental_vacuum({_PAGES})")).close()
        return len(leaving) == _STEP

    def _excess(self, connection: Connection) -> int:
        total = connection.execute(select(func.coalesce(func.sum(SESSIONS.c.size), 0))).scalar_one()
        return int(total) - self._keep_size

    def _leaving(self, oldest: Sequence[Any], excess: int) -> list[Any]:
        """The first of the ``oldest`` events, as far as they are too old or more than ``excess`` allows."""
        horizon = self._now() - self._keep_ms
        leaving: list[Any] = []
        for row in oldest:
            if row.stored >= horizon and excess <= 0:
                break
            leaving.append(row)
            excess -= row.size
        return leaving
