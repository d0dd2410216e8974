"""Databases for tests: SQLite always, PostgreSQL when OMNIDROP_TEST_POSTGRES names one that may be emptied."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import create_engine, text

from stream_service.answers.log import EventLog, Opening, Record
from stream_service.answers.store import SqlLogs, open_logs

POSTGRES = os.environ.get("OMNIDROP_TEST_POSTGRES")
BACKENDS = ["sqlite", *(["postgresql"] if POSTGRES else [])]


def url_of(backend: str, path: Path) -> str:
    """An empty database."""
    if backend == "sqlite":
        return f"sqlite:///{path}/log/events.db"
    assert POSTGRES is not None
    engine = create_engine(POSTGRES)
    with engine.begin() as connection:
        for table in ("schema_version", "sessions", "events", "cursors"):
            connection.execute(text(f"DROP TABLE IF EXISTS {table}"))
    engine.dispose()
    return POSTGRES


class Time:
    """Milliseconds since 1970, which the test moves."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now


@asynccontextmanager
async def opened(
    url: str, *, history: int = 4, keep_s: float = 1e6, keep_size: int = 10**9, now: Time | None = None
) -> AsyncIterator[SqlLogs]:
    logs = await open_logs(url, history=history, keep_s=keep_s, keep_size=keep_size, now=now or Time())
    try:
        yield logs
    finally:
        await logs.close()


def write(log: EventLog, *events: str, shown: list[int] | None = None) -> None:
    """Append events given as JSON or, for short, as a type."""
    seen = [] if shown is None else shown
    for event in events:
        kind = event if not event.startswith("{") else event.split('"type":"')[1].split('"')[0]
        log.append(Record(log.last + 1, kind, event), lambda record: seen.append(record.seq))


async def durable(log: EventLog) -> None:
    """Wait until everything that was written may be shown."""
    async with asyncio.timeout(60):
        while log.durable < log.last:  # noqa: ASYNC110 - the log tells subscribers, not tests
            await asyncio.sleep(0.001)


async def session(logs: SqlLogs, id: str, events: int, name: str | None = None, *, closed: bool = True) -> None:
    """A session with that many events."""
    log = logs.open(Opening(id, name))
    write(log, *["error"] * (events - closed), *["session.closed"] * closed)
    await durable(log)
    if closed:
        logs.retire(id)
