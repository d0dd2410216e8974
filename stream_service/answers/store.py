"""The durable log, seen from the event loop: every event of every session, in SQLite or PostgreSQL.

Writing goes through one thread (:mod:`~stream_service.answers.store_writer`), reading through a few others; the latest
events of living sessions are read from memory. SQLAlchemy's synchronous side is used on purpose: an asynchronous driver
for SQLite is a thread and a future for each statement, where group commit needs a thread and a future for each batch.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Row, Select, func, select
from sqlalchemy.exc import SQLAlchemyError

from stream_service.answers.log import Interrupted, Logged, LogTrimmed, MemoryLog, Opening, Record, Show
from stream_service.answers.retention import Retention
from stream_service.answers.store_engine import READERS, Claim, open_engine
from stream_service.answers.store_recovery import interrupted
from stream_service.answers.store_schema import CURSORS, EVENTS, SESSIONS
from stream_service.answers.store_writer import Advance, Amend, Append, Begin, Erase, Writer
from stream_service.errors import LogUnavailable

_log = logging.getLogger(__name__)
T = TypeVar("T")
_ERASE_S = 10.0


@dataclass(frozen=True, slots=True)
class Stored:
    """An event with its place among those of all sessions, and the name of its session."""

    id: int
    session: str
    name: str | None
    record: Record


class SqlLogs:
    """The logs of all sessions, those of earlier runs included; implements ``LogStore``. Made by :func:`open_logs`."""

    def __init__(
        self, engine: Engine, claim: Claim, retention: Retention, history: int, now: Callable[[], int]
    ) -> None:
        self._engine = engine
        self._claim = claim
        self._history = history
        self._now = now
        self._live: dict[str, SqlLog] = {}
        self._known: dict[str, int] = {}
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="event log reader")
        self._followers: list[Callable[[], None]] = []
        self._writer = Writer(engine, retention, self._committed)

    async def close(self) -> None:
        """Write what waits and let the database go."""
        await self._writer.close()
        await asyncio.to_thread(self._readers.shutdown)
        self._claim.close()
        self._engine.dispose()

    # LogStore --------------------------------------------------------------------------------------------------------

    def open(self, opening: Opening) -> SqlLog:
        self._writer.put(Begin(opening, self._now()))
        log = SqlLog(self, opening.session, self._known.pop(opening.session, 0), self._history)
        self._live[opening.session] = log
        return log

    def amend(self, opening: Opening) -> None:
        self._writer.put(Amend(opening))

    async def find(self, key: str) -> SqlLog | None:
        if key in self._live:
            return self._live[key]
        logged = await self.locate(key)
        return None if logged is None else SqlLog(self, logged.session, logged.last, history=0)

    async def locate(self, key: str) -> Logged | None:
        if "\0" in key:  # in no id or name, and PostgreSQL knows no such text
            return None
        by_id = await self.query(_one, select(SESSIONS).where(SESSIONS.c.id == key))
        newest = select(SESSIONS).where(SESSIONS.c.name == key).order_by(SESSIONS.c.opened.desc()).limit(1)
        row = by_id or await self.query(_one, newest)
        return None if row is None else _logged(row)

    async def sessions(self, limit: int) -> list[Logged]:
        rows = await self.query(_all, select(SESSIONS).order_by(SESSIONS.c.opened.desc()).limit(limit))
        return [_logged(row) for row in rows]

    def retire(self, session: str) -> None:
        self._live.pop(session, None)

    def drop(self, session: str) -> None:
        self._live.pop(session, None)
        self._writer.put(Erase(session, lambda: None))

    async def erase(self, session: str) -> None:
        done = asyncio.Event()
        self._writer.put(Erase(session, done.set))
        try:
            async with asyncio.timeout(_ERASE_S):
                await done.wait()
        except TimeoutError:
            raise LogUnavailable(
                "The session is not erased yet: the log cannot be written now.",
                remedy="It will be as soon as it can; look for it again in a moment.",
                retry_after=10.0,
            ) from None

    async def interrupted(self) -> list[Interrupted]:
        found = await self.query(interrupted)
        self._known = {past.opening.session: last for past, last in found}
        return [past for past, _ in found]

    # For publishers, which deliver the events of all sessions --------------------------------------------------------

    async def cursor(self, publisher: str) -> int:
        """How far ``publisher`` has delivered; one that is new begins with the next event."""
        query = select(CURSORS.c.event).where(CURSORS.c.publisher == publisher)
        delivered = await self.query(_scalar, query)
        if delivered is None:
            delivered = await self.query(_scalar, select(func.max(EVENTS.c.id))) or 0
            self.advance(publisher, delivered)
        return int(delivered)

    def advance(self, publisher: str, event: int) -> None:
        """``publisher`` has delivered everything up to ``event``."""
        self._writer.put(Advance(publisher, event))

    async def stored(self, after: int, limit: int) -> list[Stored]:
        """Up to ``limit`` events of all sessions that were written after ``after``, in order."""
        query = (
            select(EVENTS, SESSIONS.c.name)
            .join(SESSIONS, SESSIONS.c.id == EVENTS.c.session, isouter=True)
            .where(EVENTS.c.id > after)
            .order_by(EVENTS.c.id)
            .limit(limit)
        )
        rows = await self.query(_all, query)
        return [Stored(row.id, row.session, row.name, Record(row.seq, row.type, row.json)) for row in rows]

    def follow(self, heard: Callable[[], None]) -> None:
        """Call ``heard`` on the event loop after each commit."""
        self._followers.append(heard)

    def _committed(self) -> None:
        for heard in self._followers:
            heard()

    def is_failing(self) -> bool:
        """Whether the database refuses to write: events are shown, and wait in memory for it."""
        return self._writer.failing

    # Inside ----------------------------------------------------------------------------------------------------------

    async def query(self, ask: Callable[..., T], *arguments: Any) -> T:
        """``ask(connection, *arguments)`` on a reader's thread; raises LogUnavailable."""

        def run() -> T:
            try:
                with self._engine.connect() as connection:
                    return ask(connection, *arguments)
            except SQLAlchemyError as error:
                _log.error("the event log cannot be read: %s", getattr(error, "orig", error))
                raise LogUnavailable(
                    "The events are out of reach.", remedy="Try again in a moment.", retry_after=5.0
                ) from None

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    def write(self, session: str, record: Record, settled: Callable[[Record], None]) -> None:
        self._writer.put(Append(record, session, self._now(), settled))


async def open_logs(
    url: str, *, history: int, keep_s: float, keep_size: int, now: Callable[[], int] | None = None
) -> SqlLogs:
    """Open (and if need be create, migrate and trim) the log at ``url``; close it with :meth:`SqlLogs.close`.

    ``history`` events of each living session stay in memory as well. ``now`` is the time of day in milliseconds since
    1970. Raises InvalidConfig and StartupError.
    """
    clock = now or _now
    retention = Retention(keep_s, keep_size, clock)

    def prepare() -> tuple[Engine, Claim]:
        engine, claim = open_engine(url)
        more = True
        while more:
            with engine.begin() as connection:
                more = retention.tidy(connection)
        return engine, claim

    return SqlLogs(*await asyncio.to_thread(prepare), retention, history, clock)


class SqlLog:
    """One session's log: its latest events in memory, all of them in the database."""

    def __init__(self, store: SqlLogs, session: str, last: int, history: int) -> None:
        self._store = store
        self._session = session
        self._tail = MemoryLog(history, last)
        self._durable = last
        self._unsettled: deque[tuple[Record, Show]] = deque()

    @property
    def last(self) -> int:
        return self._tail.last

    @property
    def durable(self) -> int:
        return self._durable

    def append(self, record: Record, show: Show) -> None:
        self._tail.add(record)
        self._unsettled.append((record, show))
        self._store.write(self._session, record, self._settle)

    async def read(self, after: int, limit: int) -> list[Record]:
        wanted = min(limit, self._durable - after)
        try:
            return self._tail.held(after, wanted)
        except LogTrimmed as trimmed:
            return await self._store.query(_page, self._session, after, wanted, trimmed.oldest)

    def _settle(self, upto: Record) -> None:
        while self._unsettled and self._unsettled[0][0].seq <= upto.seq:
            record, show = self._unsettled.popleft()
            self._durable = record.seq
            show(record)


def _page(connection: Connection, session: str, after: int, limit: int, oldest_in_memory: int) -> list[Record]:
    """Events after ``after``; raises LogTrimmed when the next one is gone, and ends before a gap."""
    query = (
        select(EVENTS.c.seq, EVENTS.c.type, EVENTS.c.json)
        .where(EVENTS.c.session == session, EVENTS.c.seq > after)
        .order_by(EVENTS.c.seq)
        .limit(limit)
    )
    records = [Record(row.seq, row.type, row.json) for row in connection.execute(query)]
    if not records or records[0].seq != after + 1:
        raise LogTrimmed(records[0].seq if records else oldest_in_memory)
    return [record for place, record in enumerate(records, after + 1) if record.seq == place]


def _one(connection: Connection, query: Select[Any]) -> Row[Any] | None:
    return connection.execute(query).first()


def _all(connection: Connection, query: Select[Any]) -> Sequence[Row[Any]]:
    return connection.execute(query).all()


def _scalar(connection: Connection, query: Select[Any]) -> Any:
    return connection.execute(query).scalar()


def _logged(row: Row[Any]) -> Logged:
    closed = None if row.closed is None else _wall(row.closed)
    return Logged(row.id, row.name, _wall(row.opened), closed, row.last, row.size)


def _wall(stored: int) -> datetime:
    return datetime.fromtimestamp(stored / 1000, UTC)


def _now() -> int:
    return time.time_ns() // 1_000_000
