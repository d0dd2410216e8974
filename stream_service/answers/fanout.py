"""From one session's log to its subscribers: replay, then live, without a gap and without a double."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable

from stream_service.answers.log import EventLog, LogStore, Opening, Record

_REPLAY_PAGE = 128


class SubscriberTooSlow(Exception):
    """More live events waited for this subscriber than its queue holds; it resumes after the last one it received."""


class Interruption(Exception):
    """The server stops while the session is open: it goes on after a restart, and so can the subscriber."""


class AheadOfLog(LookupError):
    """The client has seen events that this log never held: it remembers another session of that name."""


class Fanout:
    """Appends events to a log and hands them to every subscriber, each once the log holds it durably.

    A subscriber that falls more than ``queue`` live events behind is dropped with :class:`SubscriberTooSlow`; it never
    slows the session or the others. During replay it is not bounded, because it reads the log at its own pace.

    ``on_finished`` is called once, when the session has ended and its last event may be shown.
    """

    def __init__(
        self, log: EventLog, queue: int, *, ended: bool = False, on_finished: Callable[[], None] | None = None
    ) -> None:
        self.log = log
        self._queue = queue
        self._subscribers: set[_Subscriber] = set()
        self._ended = ended
        self._interrupted = False
        self._on_finished = on_finished

    @property
    def subscribers(self) -> int:
        return len(self._subscribers)

    @property
    def finished(self) -> bool:
        """Whether the session has ended and all of it may be shown."""
        return self._ended and self.log.durable == self.log.last

    def publish(self, record: Record) -> None:
        self.log.append(record, self._show)

    def end(self) -> None:
        """No event follows: subscriptions finish once they have delivered what there is."""
        self._ended = True
        for subscriber in self._subscribers:
            subscriber.wake()
        self._check_finished()

    def interrupt(self) -> None:
        """No event follows in this run of the server: subscriptions end with :class:`Interruption`."""
        self._interrupted = True
        self.end()

    async def subscribe(self, after: int) -> AsyncGenerator[Record]:
        """Every event that follows number ``after``, to the session's end.

        Raises :class:`~stream_service.answers.log.LogTrimmed` when the log no longer holds the first of them,
        :class:`AheadOfLog` when ``after`` was never reached, :class:`SubscriberTooSlow`, and :class:`Interruption`.
        """
        if after > self.log.durable:
            raise AheadOfLog(after)
        # The subscriber joins the live events in the same step of the event loop that finds nothing more to replay.
        while after < self.log.durable:
            for record in await self.log.read(after, _REPLAY_PAGE):
                yield record
                after = record.seq
        subscriber = _Subscriber(self._queue, ended=lambda: self.finished)
        self._subscribers.add(subscriber)
        try:
            while (live := await subscriber.next()) is not None:
                yield live
        finally:
            self._subscribers.discard(subscriber)
        if self._interrupted:
            raise Interruption

    def _show(self, record: Record) -> None:
        for subscriber in self._subscribers:
            subscriber.offer(record)
        self._check_finished()

    def _check_finished(self) -> None:
        if self.finished and self._on_finished is not None:
            self._on_finished()
            self._on_finished = None


class Fanouts:
    """The fan-out of every session, living or closed."""

    def __init__(self, logs: LogStore, queue: int) -> None:
        self.logs = logs
        self._queue = queue
        self._live: dict[str, Fanout] = {}

    def open(self, opening: Opening) -> Fanout:
        """The fan-out of a session that begins, or goes on after a restart."""
        session = opening.session

        def finished() -> None:
            self._live.pop(session, None)

        fanout = self._live[session] = Fanout(self.logs.open(opening), self._queue, on_finished=finished)
        return fanout

    async def find(self, key: str) -> Fanout | None:
        """The fan-out of the session with this id; for a closed one (also by name), one that ends after the replay."""
        if key in self._live:
            return self._live[key]
        log = await self.logs.find(key)
        return None if log is None else Fanout(log, self._queue, ended=True)

    def interrupt(self, session: str) -> None:
        """End the session's subscriptions, but not the session, which a later run of the server takes up again."""
        fanout = self._live.get(session)
        if fanout is not None:
            fanout.interrupt()

    def close(self, session: str, keep: bool) -> None:
        """End the session's subscriptions; ``keep`` its log for readers that come late, or forget that it was."""
        fanout = self._live.get(session)
        if fanout is not None:
            fanout.end()
        if keep:
            self.logs.retire(session)
        else:
            self.logs.drop(session)


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
