"""What a socket does at its limits; the rest is seen through the routes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.websockets import WebSocket

from stream_service.answers import websocket as answers
from stream_service.answers.fanout import Fanout
from stream_service.answers.log import MemoryLog, Record
from tests.stream_service.fakes import wall


class Wire:
    """An ASGI server's side of one socket, whose client takes messages only when the test lets it."""

    def __init__(self) -> None:
        self.inbound: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.writable = asyncio.Event()
        self.gone = False
        self.inbound.put_nowait({"type": "websocket.connect"})
        scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b""}
        self.socket = WebSocket(scope, self.inbound.get, self._send)  # type: ignore[arg-type]

    async def _send(self, message: Any) -> None:
        if message["type"] == "websocket.send":
            await self.writable.wait()
        if self.gone:
            raise OSError
        self.sent.append(message)


def nobody(code: str) -> None:
    """Refusals are counted through the routes."""


def publish(fanout: Fanout, count: int) -> None:
    for _ in range(count):
        seq = fanout.log.last + 1
        fanout.publish(Record(seq, "error", str(seq)))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_subscriber_that_stops_reading_is_closed_with_1013() -> None:
    fanout, wire = Fanout(MemoryLog(100), queue=3), Wire()
    serving = asyncio.create_task(answers.serve(wire.socket, "s", fanout, 0, wall(), nobody))
    await settle()
    publish(fanout, 1)
    await settle()
    publish(fanout, 4)
    wire.writable.set()
    await serving
    accept, first, close = wire.sent
    assert (accept["type"], first["text"]) == ("websocket.accept", "1")
    assert (close["type"], close["code"]) == ("websocket.close", 1013)
    assert fanout.subscribers == 0


async def test_a_server_that_restarts_says_so() -> None:
    fanout, wire = Fanout(MemoryLog(100), queue=3), Wire()
    wire.writable.set()
    serving = asyncio.create_task(answers.serve(wire.socket, "s", fanout, 0, wall(), nobody))
    await settle()
    fanout.interrupt()
    await serving
    assert (wire.sent[-1]["type"], wire.sent[-1]["code"]) == ("websocket.close", 1012)


async def test_a_client_that_leaves_while_being_sent_to_is_no_error() -> None:
    fanout, wire = Fanout(MemoryLog(100), queue=3), Wire()
    publish(fanout, 2)
    serving = asyncio.create_task(answers.serve(wire.socket, "s", fanout, 0, wall(), nobody))
    await settle()
    wire.gone = True
    wire.writable.set()
    await serving
    assert fanout.subscribers == 0


async def test_a_mistake_of_ours_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    fanout, wire = Fanout(MemoryLog(100), queue=3), Wire()
    monkeypatch.setattr(fanout, "subscribe", lambda after: 1 / 0)
    with pytest.raises(BaseExceptionGroup) as raised:
        await answers.serve(wire.socket, "s", fanout, 0, wall(), nobody)
    assert raised.group_contains(ZeroDivisionError)
