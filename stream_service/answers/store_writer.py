"""The one thread that writes the durable log: group commit, so that the event loop never waits for the disk.

Changes queue while a commit is on its way and share the next one: an event waits for at most two. After the commit the
event loop is told, in order, and only then are events shown.

When the database refuses (disk full, server gone), sessions go on: what waits is let go to be shown nevertheless, is
kept, and is tried again every second. Past ``limit`` waiting changes the oldest events are given up; readers of the log
then find a gap and are told so, never a wrong order.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, Engine, delete, insert, select, update

from stream_service.answers.log import Opening, Record
from stream_service.answers.store_engine import overwrite
from stream_service.answers.store_schema import CURSORS, EVENTS, SESSIONS

_log = logging.getLogger(__name__)
_BATCH = 512
_RETRY_S = 1.0
ROW = 128
"""Size counted for a row beside its JSON: columns, indices and page overhead, measured on SQLite."""


def size_of(record: Record) -> int:
    """What an event adds to the log's size, in characters."""
    return len(record.json) + ROW


@dataclass(frozen=True, slots=True)
class Begin:
    """A session opens; no effect on one that is known already."""

    opening: Opening
    opened: int


@dataclass(frozen=True, slots=True)
class Amend:
    """The options of a session have changed."""

    opening: Opening


@dataclass(frozen=True, slots=True)
class Append:
    """An event happened; ``stored`` is the time of day, in milliseconds since 1970."""

    record: Record
    session: str
    stored: int
    settled: Callable[[Record], None]
    """Called on the event loop: it is in the log, or has to be shown without. May be called twice."""


@dataclass(frozen=True, slots=True)
class Erase:
    """A session and all of its events are forgotten."""

    session: str
    done: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Advance:
    """A publisher has delivered everything up to ``event`` (``events.id``)."""

    publisher: str
    event: int


Change = Begin | Amend | Append | Erase | Advance


class Housekeeper(Protocol):
    """What the thread does when nothing is to be written."""

    def tidy(self, connection: Connection) -> bool:
        """A short step of work in a transaction of its own; returns whether more of it is left."""
        ...


class Writer:
    """Writes :class:`Change` s in the order given.

    Args:
        engine: of the database, which is up to date.
        housekeeper: called about every ``tidy_s`` seconds, and again at once while it has more to do.
        on_commit: called on the event loop after each commit.
        limit: events that may wait while the database refuses.
    """

    def __init__(
        self,
        engine: Engine,
        housekeeper: Housekeeper,
        on_commit: Callable[[], None],
        *,
        limit: int = 65_536,
        tidy_s: float = 60.0,
    ) -> None:
        self._engine = engine
        self._housekeeper = housekeeper
        self._on_commit = on_commit
        self._limit = limit
        self._tidy_s = tidy_s
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Change] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._refusing = False
        self.failing = False
        """Whether the database refused the last attempt, as far as the event loop has heard."""
        self._thread = threading.Thread(target=self._run, name="event log", daemon=True)
        self._thread.start()

    def put(self, change: Change) -> None:
        """Queue a change; while the database refuses, an event is let go at once."""
        with self._changed:
            self._waiting.append(change)
            self._changed.notify()
        if self.failing and isinstance(change, Append):
            change.settled(change.record)

    async def close(self) -> None:
        """Write what waits, once more if the database refuses, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join)

    # On the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        more = False
        while True:
            with self._changed:
                if not self._waiting and not self._closing and not more:
                    self._changed.wait(self._tidy_s)
                batch = list(self._take())
                closing = self._closing
            if batch:
                if not self._write(batch) and not self._refused(batch, closing):
                    return
            elif closing:
                return
            else:
                more = self._tidy()

    def _take(self) -> Sequence[Change]:
        return [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]

    def _write(self, batch: Sequence[Change]) -> bool:
        try:
            with self._engine.begin() as connection:
                apply(connection, batch)
            if any(isinstance(change, Erase) for change in batch):
                overwrite(self._engine)
        except Exception as error:  # whatever it is: without this thread every session would fall silent
            if not self._refusing:
                _log.error("the event log cannot be written, events wait in memory: %s", getattr(error, "orig", error))
            self._refusing = True
            return False
        self._refusing = False
        self._tell(self._committed, batch)
        return True

    def _refused(self, batch: Sequence[Change], closing: bool) -> bool:
        """Keep ``batch`` for another attempt; returns whether there will be one."""
        self._tell(self._unwritten, batch)
        if closing:
            _log.error("%d changes of the event log are lost", len(batch) + len(self._waiting))
            return False
        with self._changed:
            self._waiting.extendleft(reversed(batch))
            lost = self._give_up_surplus()
            self._changed.wait_for(lambda: self._closing, _RETRY_S)
        if lost:
            _log.error("%d events are lost from the event log: too many wait for it", lost)
        return True

    def _give_up_surplus(self) -> int:
        surplus = max(0, len(self._waiting) - self._limit)
        kept: deque[Change] = deque()
        lost = 0
        for change in self._waiting:
            if lost < surplus and isinstance(change, Append):
                lost += 1
            else:
                kept.append(change)
        self._waiting = kept
        return lost

    def _tidy(self) -> bool:
        try:
            with self._engine.begin() as connection:
                return self._housekeeper.tidy(connection)
        except Exception as error:  # as above; it is tried again in a minute
            _log.warning("the event log could not be tidied: %s", getattr(error, "orig", error))
            return False

    def _tell(self, what: Callable[[Sequence[Change]], None], batch: Sequence[Change]) -> None:
        try:
            self._loop.call_soon_threadsafe(what, batch)
        except RuntimeError:  # the loop is closed: nobody is left to be told
            _log.debug("a commit came after the end of the event loop")

    # On the event loop -----------------------------------------------------------------------------------------------

    def _committed(self, batch: Sequence[Change]) -> None:
        self.failing = False
        for change in batch:
            if isinstance(change, Append):
                change.settled(change.record)
            elif isinstance(change, Erase):
                change.done()
        self._on_commit()

    def _unwritten(self, batch: Sequence[Change]) -> None:
        self.failing = True
        for change in batch:
            if isinstance(change, Append):
                change.settled(change.record)


def apply(connection: Connection, batch: Sequence[Change]) -> None:
    """Make the changes, in order; making them a second time changes nothing, should a commit's outcome be unknown."""
    appends: list[Append] = []
    for change in batch:
        if isinstance(change, Append):
            appends.append(change)
            continue
        _append(connection, appends)
        appends = []
        match change:
            case Begin(opening, opened):
                _begin(connection, opening, opened)
            case Amend(opening):
                options = update(SESSIONS).where(SESSIONS.c.id == opening.session).values(options=opening.options)
                connection.execute(options)
            case Erase(session):
                connection.execute(delete(EVENTS).where(EVENTS.c.session == session))
                connection.execute(delete(SESSIONS).where(SESSIONS.c.id == session))
            case Advance(publisher, event):
                _advance(connection, publisher, event)
    _append(connection, appends)


def _append(connection: Connection, appends: Sequence[Append]) -> None:
    if not appends:
        return
    fresh = _fresh(connection, appends)
    if not fresh:
        return
    rows = [
        {"session": one.session, "seq": one.record.seq, "type": one.record.type, "stored": one.stored,
         "json": one.record.json}
        for one in fresh
    ]  # fmt: skip
    connection.execute(insert(EVENTS), rows)
    for session in {one.session for one in fresh}:
        mine = [one for one in fresh if one.session == session]
        closed = next((one.stored for one in mine if one.record.type == "session.closed"), None)
        values = {"last": mine[-1].record.seq, "size": SESSIONS.c.size + sum(size_of(one.record) for one in mine)}
        if closed is not None:
            values["closed"] = closed
        connection.execute(update(SESSIONS).where(SESSIONS.c.id == session).values(values))


def _fresh(connection: Connection, appends: Sequence[Append]) -> list[Append]:
    """Those not written yet: an attempt whose outcome was lost may have succeeded."""
    sessions = {one.session for one in appends}
    rows = connection.execute(select(SESSIONS.c.id, SESSIONS.c.last).where(SESSIONS.c.id.in_(sessions)))
    last = {row.id: row.last for row in rows}
    return [one for one in appends if one.session in last and one.record.seq > last[one.session]]


def _begin(connection: Connection, opening: Opening, opened: int) -> None:
    known = connection.execute(select(SESSIONS.c.id).where(SESSIONS.c.id == opening.session)).first()
    if known is None:
        row = {"id": opening.session, "name": opening.name, "options": opening.options, "opened": opened}
        connection.execute(insert(SESSIONS).values(**row, closed=None, last=0, size=0))


def _advance(connection: Connection, publisher: str, event: int) -> None:
    moved = connection.execute(update(CURSORS).where(CURSORS.c.publisher == publisher).values(event=event))
    if not moved.rowcount:
        connection.execute(insert(CURSORS).values(publisher=publisher, event=event))
