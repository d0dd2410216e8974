"""The log of a session's events: what makes a subscriber's reconnection lossless.

Events are numbered from 1 without gaps and serialised once, whatever the number of readers. Here are the protocols and
the log in memory, which forgets its oldest events beyond a bound; :mod:`stream_service.answers.store` keeps them in a
database.

An event is shown to subscribers once it is *durable*: what a client has seen can never be taken back, so a session that
goes on after a crash goes on from the number that its clients remember. In memory that is at once.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Record:
    """One event as it goes out: ``json`` is the whole event, one line of text."""

    seq: int
    type: str
    json: str


Show = Callable[[Record], None]


@dataclass(frozen=True, slots=True)
class Opening:
    """What a log must know of a session to find it again; ``options`` is text of the session stage's own."""

    session: str
    name: str | None = None
    options: str = "{}"


@dataclass(frozen=True, slots=True)
class Logged:
    """A session of which the log holds something. ``closed`` is None while it is open; ``size`` is in characters."""

    session: str
    name: str | None
    opened: datetime
    closed: datetime | None
    last: int
    size: int


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A session that the last run of this server left open, as its log tells it.

    ``at`` and ``wall`` are those of its newest event, ``windows`` the number of windows fused; ``unanswered`` has the
    questions that did not end, with the text published of each answer.
    """

    opening: Opening
    at: float
    wall: datetime
    windows: int
    unanswered: dict[str, str] = field(default_factory=dict)


class LogTrimmed(LookupError):
    """The events asked for are no longer held; ``oldest`` is the first that is (or the next one, if none is)."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"the oldest event held is {oldest}")
        self.oldest = oldest


class EventLog(Protocol):
    """Append-only, one writer, many readers, all on the event loop."""

    @property
    def last(self) -> int:
        """Number of the newest event; 0 when there is none."""
        ...

    @property
    def durable(self) -> int:
        """Number of the newest event that may be shown."""
        ...

    def append(self, record: Record, show: Show) -> None:
        """Add the event numbered ``last + 1``; raises ValueError for any other number.

        ``show`` is called with it on the event loop, in order, once it may be shown: now or later.
        """
        ...

    async def read(self, after: int, limit: int) -> list[Record]:
        """Up to ``limit`` events that follow number ``after`` and may be shown, in order.

        At least one if ``after`` is less than ``durable``; raises :class:`LogTrimmed`.
        """
        ...


class LogStore(Protocol):
    """The logs of all sessions, living and closed. A ``key`` is a session's id, or a name: then the newest of it."""

    def open(self, opening: Opening) -> EventLog:
        """The log of a session that begins, or goes on after a restart."""
        ...

    def amend(self, opening: Opening) -> None:
        """The options of an open session have changed."""

    async def find(self, key: str) -> EventLog | None: ...

    async def locate(self, key: str) -> Logged | None: ...

    async def sessions(self, limit: int) -> Sequence[Logged]:
        """Newest first."""
        ...

    def retire(self, session: str) -> None:
        """The session is closed: keep its log as long as the store's policy allows."""

    def drop(self, session: str) -> None:
        """The session never came to be: forget its log."""

    async def erase(self, session: str) -> None:
        """Forget a closed session's log for good."""

    async def interrupted(self) -> Sequence[Interrupted]:
        """The sessions that the last run left open, oldest first; to be called before any is opened."""
        ...


class MemoryLog:
    """The last ``history`` events of one session; ``last`` is the number of an event before them that is not held."""

    def __init__(self, history: int, last: int = 0) -> None:
        self._records: deque[Record] = deque(maxlen=history)
        self._last = last

    @property
    def last(self) -> int:
        return self._last

    @property
    def durable(self) -> int:
        return self._last

    @property
    def size(self) -> int:
        """Characters held."""
        return sum(len(record.json) for record in self._records)

    def append(self, record: Record, show: Show) -> None:
        self.add(record)
        show(record)

    def add(self, record: Record) -> None:
        """Append without showing."""
        if record.seq != self._last + 1:
            raise ValueError(f"event {record.seq} cannot follow event {self._last}")
        self._records.append(record)
        self._last = record.seq

    async def read(self, after: int, limit: int) -> list[Record]:
        return self.held(after, limit)

    def held(self, after: int, limit: int) -> list[Record]:
        """:meth:`read`, at once."""
        oldest = self._last - len(self._records) + 1
        if after < oldest - 1:
            raise LogTrimmed(oldest)
        skip = after - oldest + 1
        return list(islice(self._records, skip, skip + limit))


@dataclass(slots=True)
class _Remembered:
    log: MemoryLog
    opening: Opening
    opened: datetime
    closed: datetime | None = None

    def logged(self) -> Logged:
        opening, log = self.opening, self.log
        return Logged(opening.session, opening.name, self.opened, self.closed, log.last, log.size)


def _now() -> datetime:
    return datetime.now(UTC)


class MemoryLogs:
    """Logs in memory: those of open sessions, and of the ``closed`` sessions that ended last."""

    def __init__(self, history: int, closed: int, wall: Callable[[], datetime] = _now) -> None:
        self._history = history
        self._closed_limit = closed
        self._wall = wall
        self._open: dict[str, _Remembered] = {}
        self._closed: OrderedDict[str, _Remembered] = OrderedDict()

    def open(self, opening: Opening) -> MemoryLog:
        log = MemoryLog(self._history)
        self._open[opening.session] = _Remembered(log, opening, self._wall())
        return log

    def amend(self, opening: Opening) -> None:
        if (found := self._open.get(opening.session)) is not None:
            found.opening = opening

    async def find(self, key: str) -> MemoryLog | None:
        found = self._find(key)
        return None if found is None else found.log

    async def locate(self, key: str) -> Logged | None:
        found = self._find(key)
        return None if found is None else found.logged()

    async def sessions(self, limit: int) -> list[Logged]:
        return [one.logged() for one in self._newest_first()[:limit]]

    def retire(self, session: str) -> None:
        ended = self._open.pop(session, None)
        if ended is None:
            return
        ended.closed = self._wall()
        self._closed[session] = ended
        while len(self._closed) > self._closed_limit:
            self._closed.popitem(last=False)

    def drop(self, session: str) -> None:
        self._open.pop(session, None)

    async def erase(self, session: str) -> None:
        self._closed.pop(session, None)

    async def interrupted(self) -> list[Interrupted]:
        return []

    def _find(self, key: str) -> _Remembered | None:
        by_id = self._open.get(key) or self._closed.get(key)
        return by_id or next((one for one in self._newest_first() if one.opening.name == key), None)

    def _newest_first(self) -> list[_Remembered]:
        return [*reversed(self._open.values()), *reversed(self._closed.values())]
