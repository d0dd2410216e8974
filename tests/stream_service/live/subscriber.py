"""An answer WebSocket for tests, that checks what every subscriber may rely on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import websockets

from stream_service.answers.events import EVENT, Event


class Subscriber:
    """Reads events one by one; every number must follow the one before."""

    def __init__(self, socket: websockets.ClientConnection, after: int) -> None:
        self._socket = socket
        self.last = after
        self.seen: list[Event] = []

    async def next(self) -> Event:
        event = EVENT.validate_json(await self._socket.recv())
        assert event.seq == self.last + 1
        self.last = event.seq
        self.seen.append(event)
        return event

    async def until(self, type: str, count: int = 1) -> Event:
        """The ``count``-th next event of a type."""
        while True:
            event = await self.next()
            count -= event.type == type
            if not count:
                return event


@asynccontextmanager
async def subscribed(url: str, session: str, after: int = 0, *, token: str | None = None) -> AsyncIterator[Subscriber]:
    address = f"{url.replace('http', 'ws', 1)}/v1/sessions/{session}/answers?after={after}"
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with websockets.connect(address, additional_headers=headers, open_timeout=60) as socket:
        yield Subscriber(socket, after)
