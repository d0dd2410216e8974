"""A session's events out of the database, beside a running server or without one."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from stream_service.answers.store_engine import open_reader
from stream_service.answers.store_schema import EVENTS, SESSIONS
from stream_service.errors import NotFound, StartupError


def export(url: str, key: str) -> Iterator[str]:
    """The events, one JSON line each, of the session with that id, or the newest with that name.

    Raises InvalidConfig and StartupError for the log, NotFound for the session.
    """
    engine = open_reader(url)
    try:
        with engine.connect() as connection:
            wanted = (SESSIONS.c.id == key) | (SESSIONS.c.name == key)
            newest = select(SESSIONS.c.id).where(wanted).order_by(SESSIONS.c.id != key, SESSIONS.c.opened.desc())
            session = connection.execute(newest.limit(1)).scalar()
            if session is None:
                raise NotFound(f"The log knows no session {key[:80]!r}.", remedy="Check the id or name.")
            lines = select(EVENTS.c.json).where(EVENTS.c.session == session).order_by(EVENTS.c.seq)
            yield from connection.execution_options(yield_per=500).execute(lines).scalars()
    except DBAPIError as error:
        reason = str(error.orig).partition("\n")[0]
        raise StartupError(f"The event log cannot be read: {reason}.", remedy="Check answers.log.") from None
    finally:
        engine.dispose()
