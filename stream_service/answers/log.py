"""The log of a session's events: what makes a subscriber's reconnection lossless.

Events are numbered from 1 without gaps and serialised once, whatever the number of readers. This log lives in memory
and forgets its oldest events beyond a bound; another one with the same protocol may keep them on disk.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from itertools import islice
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Record:
    """One event as it goes out: ``json`` is the whole event, one line of text."""

    seq: int
    type: str
    json: str


class LogTrimmed(LookupError):
    """The events asked for are no longer held; ``oldest`` is the first that is."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"the oldest event held is {oldest}")
        self.oldest = oldest


class EventLog(Protocol):
    """Append-only, one writer, many readers, all on the event loop."""

    @property
    def last(self) -> int:
        """Number of the newest event; 0 when there is none."""
        ...

    def append(self, record: Record) -> None:
        """Add the event numbered ``last + 1``; raises ValueError for any other number."""
        ...

    def read(self, after: int, limit: int) -> list[Record]:
        """Up to ``limit`` events that follow number ``after``, in order; raises :class:`LogTrimmed`."""
        ...


class LogStore(Protocol):
    """The logs of all sessions, living and recently closed."""

    def open(self, session: str) -> EventLog: ...

    def find(self, session: str) -> EventLog | None: ...

    def retire(self, session: str) -> None:
        """The session is closed: keep its log as long as the store's policy allows."""

    def drop(self, session: str) -> None:
        """The session never came to be: forget its log."""


class MemoryLog:
    """The last ``history`` events of one session."""

    def __init__(self, history: int) -> None:
        self._records: deque[Record] = deque(maxlen=history)
        self._last = 0

    @property
    def last(self) -> int:
        return self._last

    def append(self, record: Record) -> None:
        if record.seq != self._last + 1:
            raise ValueError(f"event {record.seq} cannot follow event {self._last}")
        self._records.append(record)
        self._last = record.seq

    def read(self, after: int, limit: int) -> list[Record]:
        oldest = self._last - len(self._records) + 1
        if after < oldest - 1:
            raise LogTrimmed(oldest)
        skip = after - oldest + 1
        return list(islice(self._records, skip, skip + limit))


class MemoryLogs:
    """Logs in memory: those of open sessions, and of the ``closed`` sessions that ended last."""

    def __init__(self, history: int, closed: int) -> None:
        self._history = history
        self._closed_limit = closed
        self._open: dict[str, MemoryLog] = {}
        self._closed: OrderedDict[str, MemoryLog] = OrderedDict()

    def open(self, session: str) -> MemoryLog:
        log = self._open[session] = MemoryLog(self._history)
        return log

    def find(self, session: str) -> MemoryLog | None:
        return self._open.get(session) or self._closed.get(session)

    def retire(self, session: str) -> None:
        log = self._open.pop(session, None)
        if log is None:
            return
        self._closed[session] = log
        while len(self._closed) > self._closed_limit:
            self._closed.popitem(last=False)

    def drop(self, session: str) -> None:
        self._open.pop(session, None)
