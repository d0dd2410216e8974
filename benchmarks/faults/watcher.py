"""A subscriber that trusts nobody: it keeps every event that came, to be compared with the log."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import websockets
from websockets.exceptions import ConnectionClosed, InvalidHandshake

Event = dict[str, Any]
_ENDS = ("answer.done", "answer.cancelled")
_PATIENCE_S = 90.0
_RETRY_S = 0.1


class Watcher:
    """Follows one session through every loss of the server; use it as an async context manager.

    Attributes:
        events: all that came, in order.
        arrived: ``time.time()`` at which each of them came.
        faults: numbers that were skipped or came twice.
        reconnections: how often it had to connect again.
    """

    def __init__(self, server: str, session: str, after: int = 0) -> None:
        self._address = f"{server.replace('http', 'ws', 1)}/v1/sessions/{session}/answers"
        self._after = after
        self.events: list[Event] = []
        self.arrived: list[float] = []
        self.faults: list[int] = []
        self.reconnections = -1
        self._news = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def mark(self) -> int:
        """How many events have come: for ``since``."""
        return len(self.events)

    async def until(self, wanted: Callable[[Event], bool], since: int = 0, limit_s: float = _PATIENCE_S) -> Event:
        """The first event after the ``since`` first that is ``wanted``. Raises TimeoutError after ``limit_s``."""
        at = since
        async with asyncio.timeout(limit_s), self._news:
            while True:
                for event in self.events[at:]:
                    at += 1
                    if wanted(event):
                        return event
                await self._news.wait()

    async def type(self, name: str, since: int = 0) -> Event:
        """The first event of a type after the ``since`` first."""
        return await self.until(lambda event: event["type"] == name, since)

    async def start_of(self, question: str) -> Event:
        """The moment at which a question's answer begins."""
        return await self.until(lambda event: event["type"] == "answer.started" and event["question"] == question)

    async def end_of(self, question: str) -> Event:
        """How a question ended."""
        return await self.until(lambda event: event["type"] in _ENDS and event["question"] == question)

    def of(self, name: str) -> list[Event]:
        """All events of a type."""
        return [event for event in self.events if event["type"] == name]

    def ends(self) -> Counter[str]:
        """How often each question ended."""
        return Counter(event["question"] for event in self.events if event["type"] in _ENDS)

    async def _follow(self) -> None:
        while True:
            self.reconnections += 1
            try:
                async with websockets.connect(f"{self._address}?after={self._after}", max_size=None) as socket:
                    async for message in socket:
                        await self._take(json.loads(message))
                    if socket.close_code == 1000:
                        return
            except (ConnectionClosed, InvalidHandshake, OSError, TimeoutError):
                pass  # that is what it is here for
            await asyncio.sleep(_RETRY_S)

    async def _take(self, event: Event) -> None:
        if event["seq"] == 0:  # why the server closes
            return
        if event["seq"] != self._after + 1:
            self.faults.append(event["seq"])
        self._after = max(self._after, event["seq"])
        async with self._news:
            self.events.append(event)
            self.arrived.append(time.time())
            self._news.notify_all()


async def read_log(server: str, session: str, last: int) -> list[Event]:
    """The first ``last`` events of a session as the log has them now."""
    async with Watcher(server, session) as reader:
        await reader.until(lambda event: event["seq"] >= last)
        return reader.events[:last]
