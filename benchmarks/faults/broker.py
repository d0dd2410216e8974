"""kill -9 of the MQTT broker, in the middle of an answer, again and again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import aiomqtt

from benchmarks.faults.asking import QUESTION, ask, close, patient
from benchmarks.faults.camera import Camera
from benchmarks.faults.outcome import Outcome
from benchmarks.faults.service import Victim
from benchmarks.faults.watcher import Event, Watcher, read_log
from benchmarks.ports import free_port
from benchmarks.statistics import percentile

HOST = "127.0.0.1"
_NAME = "broker-killed"
_AWAY_S = 1.0
_PATIENCE_S = 90.0
_RETRY_S = 0.1


class NoBroker(RuntimeError):
    """Mosquitto is not installed, or does not start."""


class Broker:
    """A Mosquitto of the benchmark's own, which keeps its port and its sessions over its deaths."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        lines = (f"listener {self.port} {HOST}", "user root", "allow_anonymous true", "persistence true",
                 f"persistence_location {folder}/", "autosave_interval 1", "autosave_on_changes true",
                 "max_queued_messages 0")  # fmt: skip
        self._config.write_text("\n".join(lines) + "\n")

    async def start(self) -> None:
        """Returns once it accepts connections. Raises NoBroker."""
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if program is None:
            raise NoBroker("install the Debian package mosquitto")
        null = asyncio.subprocess.DEVNULL
        command = (program, "-c", str(self._config))
        self._process = await asyncio.create_subprocess_exec(*command, stdout=null, stderr=null)
        while self._process.returncode is None:
            try:
                _, writer = await asyncio.open_connection(HOST, self.port)
            except OSError:
                await asyncio.sleep(_RETRY_S)
            else:
                writer.close()
                return
        raise NoBroker(f"mosquitto ended with {self._process.returncode}")

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


class Consumer:
    """Receives a session's events over MQTT (QoS 1, a session that the broker keeps); an async context manager.

    Attributes:
        events: by number, each once.
        doubled: how many came again, which a consumer is to drop by their number.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.events: dict[int, Event] = {}
        self.doubled = 0
        self._news = asyncio.Condition()
        self._subscribed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow())
        await self._subscribed.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def has(self, seq: int) -> None:
        """Wait for an event. Raises TimeoutError."""
        async with asyncio.timeout(_PATIENCE_S), self._news:
            await self._news.wait_for(lambda: seq in self.events)

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                async with aiomqtt.Client(HOST, self._port, identifier="faults", clean_session=False) as client:
                    await client.subscribe(f"omnidrop/{_NAME}/events", qos=1)
                    self._subscribed.set()
                    async for message in client.messages:
                        await self._take(json.loads(message.payload))
            await asyncio.sleep(_RETRY_S)

    async def _take(self, event: Event) -> None:
        async with self._news:
            self.doubled += event["seq"] in self.events
            self.events[event["seq"]] = event
            self._news.notify_all()


async def broker_killed(victim: Victim, broker: Broker, clip: Path, times: int) -> Outcome:
    """The broker dies: answers go on, and what it missed is delivered when it is back."""
    outcome = Outcome("broker killed")
    recovery_s: list[float] = []
    async with Consumer(broker.port) as consumer, Camera(victim.url, clip, _NAME) as camera, patient(victim.url) as api:
        session = camera.session
        async with Watcher(victim.url, session) as watcher:
            await watcher.type("window.fused")
            for _ in range(times):
                question = await ask(api, session)
                await watcher.start_of(question)
                await broker.kill()
                done = await watcher.end_of(question)
                outcome.check("answers go on without it", done["type"] == "answer.done")
                await asyncio.sleep(_AWAY_S)
                await broker.start()
                began = time.monotonic()
                await consumer.has(done["seq"])
                recovery_s.append(time.monotonic() - began)
            mark = watcher.mark
            async with aiomqtt.Client(HOST, broker.port) as asker:
                await asker.publish(f"omnidrop/{_NAME}/ask", QUESTION, qos=1)
            heard = await watcher.type("question.accepted", mark)
            last = await watcher.end_of(heard["question"])
            outcome.check("questions over MQTT are answered afterwards", last["type"] == "answer.done")
            await consumer.has(last["seq"])
            log = await read_log(victim.url, session, last["seq"])
            outcome.check("no event seen twice or left out", not watcher.faults and not watcher.reconnections)
            delivered = [consumer.events.get(event["seq"]) for event in log]
            outcome.check("every logged event came over MQTT", delivered == log)
            outcome.check("every question ends exactly once", all(count == 1 for count in watcher.ends().values()))
            outcome.check("the source is never lost", not watcher.of("source.lost"))
        await close(api, session)
    outcome.figures |= {
        "kills": times,
        "events": len(log),
        "sent_again": consumer.doubled,
        "recovery_s_p50": round(percentile(recovery_s, 0.5), 2),
        "recovery_s_max": round(max(recovery_s), 2),
    }
    return outcome
