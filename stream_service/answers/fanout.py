"""From one session's log to its subscribers: replay, then live, without a gap and without a double."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable

from stream_service.answers.log import EventLog, LogStore, Record

_REPLAY_PAGE = 128


class SubscriberTooSlow(Exception):
    """More live events waited for this subscriber than its queue holds; it resumes after the last one it received."""


class AheadOfLog(LookupError):
    """The client has seen events that this log never held: it remembers another session of that name."""


class Fanout:
    """Appends events to a log and hands them to every subscriber.

    A subscriber that falls more than ``queue`` live events behind is dropped with :class:`SubscriberTooSlow`; it never
    slows the session or the others. During replay it is not bounded, because it reads the log at its own pace.
    """

    def __init__(self, log: EventLog, queue: int, *, ended: bool = False) -> None:
        self.log = log
        self._queue = queue
        self._subscribers: set[_Subscriber] = set()
        self._ended = ended

    @property
    def subscribers(self) -> int:
        return len(self._subscribers)

    def publish(self, record: Record) -> None:
        self.log.append(record)
        for subscriber in self._subscribers:
            subscriber.offer(record)

    def end(self) -> None:
        """No event follows: subscriptions finish once they have delivered what there is."""
        self._ended = True
        for subscriber in self._subscribers:
            subscriber.wake()

    async def subscribe(self, after: int) -> AsyncGenerator[Record]:
        """Every event that follows number ``after``, to the session's end.

        Raises :class:`~stream_service.answers.log.LogTrimmed` when the log no longer holds the first of them,
        :class:`AheadOfLog` when ``after`` was never reached, and :class:`SubscriberTooSlow`.
        """
        if after > self.log.last:
            raise AheadOfLog(after)
        # The subscriber joins the live events in the same step of the event loop as the read that finds nothing more.
        while page := self.log.read(after, _REPLAY_PAGE):
            for record in page:
                yield record
            after = page[-1].seq
        subscriber = _Subscriber(self._queue, ended=lambda: self._ended)
        self._subscribers.add(subscriber)
        try:
            while (live := await subscriber.next()) is not None:
                yield live
        finally:
            self._subscribers.discard(subscriber)


class Fanouts:
    """The fan-out of every session, living or recently closed."""

    def __init__(self, logs: LogStore, queue: int) -> None:
        self._logs = logs
        self._queue = queue
        self._live: dict[str, Fanout] = {}

    def open(self, session: str) -> Fanout:
        fanout = self._live[session] = Fanout(self._logs.open(session), self._queue)
        return fanout

    def find(self, session: str) -> Fanout | None:
        """The session's fan-out; for a closed session whose log is still held, one that ends after the replay."""
        if session in self._live:
            return self._live[session]
        log = self._logs.find(session)
        return None if log is None else Fanout(log, self._queue, ended=True)

    def close(self, session: str, keep: bool) -> None:
        """End the session's subscriptions; ``keep`` its log for readers that come late, or forget that it was."""
        fanout = self._live.pop(session, None)
        if fanout is not None:
            fanout.end()
        if keep:
            self._logs.retire(session)
        else:
            self._logs.drop(session)


class _Subscriber:
    """The bounded queue of one subscriber."""

    def __init__(self, limit: int, ended: Callable[[], bool]) -> None:
        self._limit = limit
        self._ended = ended
        self._waiting: deque[Record] = deque()
        self._overflowed = False
        self._ready = asyncio.Event()

    def offer(self, record: Record) -> None:
        if len(self._waiting) < self._limit:
            self._waiting.append(record)
        else:
            self._overflowed = True
        self._ready.set()

    def wake(self) -> None:
        self._ready.set()

    async def next(self) -> Record | None:
        """The next event, or None at the end."""
        while True:
            if self._overflowed:
                raise SubscriberTooSlow
            if self._waiting:
                return self._waiting.popleft()
            if self._ended():
                return None
            self._ready.clear()
            await self._ready.wait()
