"""A thousand subscribers that read slowly or not at all, and those who watch beside them."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import websockets
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from benchmarks.faults.asking import ask, close, patient
from benchmarks.faults.camera import Camera
from benchmarks.faults.outcome import Outcome
from benchmarks.faults.service import Victim
from benchmarks.faults.watcher import Watcher
from benchmarks.statistics import percentile
from clients.python import Api

_LIVE = 5
_QUESTIONS = 20
_MORE = 200
"""Questions after those, at most, until the sockets and the queue of one who never reads are full."""
_SLOW_READ_S = 1.0
_CONNECTING = 50
_RECEIVED_BYTES = 4_096
_EACH_BYTES = 1_000_000
"""What one subscriber may cost at most: two socket buffers, a WebSocket's state and its share of the queue."""


async def crowd(victim: Victim, clip: Path, subscribers: int) -> Outcome:
    """Half read an event a second, half never: memory stays bounded, and live subscribers do not notice."""
    outcome = Outcome("slow subscribers")
    async with AsyncExitStack() as stack:
        camera = await stack.enter_async_context(Camera(victim.url, clip, "crowd"))
        api = await stack.enter_async_context(patient(victim.url))
        live = [await stack.enter_async_context(Watcher(victim.url, camera.session)) for _ in range(_LIVE)]
        await live[0].type("window.fused")
        alone = await _busy(api, camera.session, live)
        before, sockets = victim.gateway_bytes, victim.sockets
        address = f"{victim.url.replace('http', 'ws', 1)}/v1/sessions/{camera.session}/answers"
        gate, over = asyncio.Semaphore(_CONNECTING), asyncio.Event()
        idle = [_Idle(address, gate, over, reads=number % 2 == 0) for number in range(subscribers)]
        async with asyncio.TaskGroup() as tasks:
            for one in idle:
                tasks.create_task(one.run())
            for one in idle:
                await one.tried.wait()
            crowded = await _busy(api, camera.session, live)
            peak, more = victim.gateway_bytes, 0
            while (left_in := await _subscribers(api, camera.session)) > _LIVE + subscribers // 2 and more < _MORE:
                await live[0].end_of(await ask(api, camera.session))
                peak, more = max(peak, victim.gateway_bytes), more + 1
            over.set()
        await asyncio.sleep(1.0)
        left = victim.sockets
        await close(api, camera.session)
    events = [[event["seq"] for event in watcher.events] for watcher in live]
    complete = all(seqs == list(range(1, len(seqs) + 1)) for seqs in events)
    outcome.check("live subscribers get every event once", complete and not any(watcher.faults for watcher in live))
    outcome.check("live subscribers stay connected", not any(watcher.reconnections for watcher in live))
    outcome.check("memory is bounded", peak - before < subscribers * _EACH_BYTES)
    outcome.check("those who never read are cut off", left_in <= _LIVE + subscribers // 2)
    outcome.check("live subscribers are not slowed", crowded < alone + 1.0)
    outcome.check("no socket is left", left <= sockets + _LIVE)
    outcome.check("all were let in", all(one.connected for one in idle))
    outcome.figures |= {
        "subscribers": subscribers,
        "questions": 2 * _QUESTIONS + more,
        "cut_off": sum(one.connected for one in idle) + _LIVE - left_in,
        "delay_s_p95_alone": round(alone, 4),
        "delay_s_p95_crowded": round(crowded, 4),
        "bytes_a_subscriber": round((peak - before) / max(1, subscribers)),
    }
    return outcome


async def _subscribers(api: Api, session: str) -> int:
    view = (await api.request("GET", f"/v1/sessions/{session}")).json()
    return int(view["subscribers"])


async def _busy(api: Api, session: str, live: list[Watcher]) -> float:
    """Ask a number of questions; 95th percentile of the seconds from an event's writing to its arrival."""
    marks = [watcher.mark for watcher in live]
    for _ in range(_QUESTIONS):
        await live[0].end_of(await ask(api, session))
    delays = [
        arrived - wall_of(event)
        for watcher, mark in zip(live, marks, strict=True)
        for event, arrived in zip(watcher.events[mark:], watcher.arrived[mark:], strict=True)
    ]
    return percentile(delays, 0.95)


def wall_of(event: dict[str, str]) -> float:
    """``time.time()`` at which an event was written."""
    return datetime.fromisoformat(event["wall"]).timestamp()


class _Idle:
    """One bad subscriber; ``tried`` is set once it is connected or was refused."""

    def __init__(self, address: str, gate: asyncio.Semaphore, over: asyncio.Event, *, reads: bool) -> None:
        self._address, self._gate, self._over, self._reads = address, gate, over, reads
        self.tried = asyncio.Event()
        self.connected = False

    async def run(self) -> None:
        """Until told that it is over, or cut off."""
        try:
            async with self._gate:
                # Without pings and reads ahead the sockets fill, as those of a dead client do.
                connection = await websockets.connect(
                    self._address,
                    sock=await _narrow(self._address),
                    max_queue=1,
                    ping_interval=None,
                    close_timeout=0.2,
                    open_timeout=60,
                )
            self.connected = True
            self.tried.set()
            async with connection:
                await self._idle(connection)
        except (ConnectionClosed, InvalidHandshake, OSError, TimeoutError):
            self.tried.set()  # refused, or cut off as too slow

    async def _idle(self, connection: websockets.ClientConnection) -> None:
        if not self._reads:
            await self._over.wait()
        while not self._over.is_set():
            await asyncio.sleep(_SLOW_READ_S)
            await connection.recv()


async def _narrow(address: str) -> socket.socket:
    """A connection that takes in little before the sender must wait."""
    target = urlsplit(address)
    made = socket.socket()
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVED_BYTES)
    await asyncio.get_running_loop().sock_connect(made, (target.hostname, target.port))
    return made
