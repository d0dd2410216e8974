"""The gateway's side of the engine, with links that stand for processes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from stream_service.engine import client
from stream_service.engine.client import EngineState, LocalEngine
from stream_service.engine.messages import Asked, Cancel, Close, Closed, ErrorFacts, Feed, Open, Opened, Stop
from stream_service.engine.settings import EngineSettings
from stream_service.errors import Conflict, EngineUnavailable, InvalidConfig, ServerFull
from stream_service.types import (
    AnswerCancelled,
    AnswerDelta,
    AnswerStarted,
    CancelReason,
    EngineEvent,
    EngineFault,
    EngineRestarted,
    ModalityCounts,
    Overloaded,
    SessionSettings,
    WindowFused,
)
from tests.stream_service.engine.builders import question, window
from tests.stream_service.engine.fakes import FakeLink, Spawner

SETTINGS = EngineSettings(refeed_windows=3, restart_backoff_s=0.001)


class Rig:
    def __init__(self) -> None:
        self.spawner = Spawner()
        self.engine = LocalEngine(SETTINGS, self.spawner)
        self._events = self.engine.events()

    @property
    def link(self) -> FakeLink:
        return self.spawner.links[-1]

    async def open(self, *sessions: str) -> None:
        for session in sessions:
            opening = asyncio.create_task(self.engine.open(session, SessionSettings()))
            await asyncio.sleep(0)
            self.link.receive(Opened(session))
            await opening

    async def next(self) -> EngineEvent:
        return await anext(self._events)

    async def restart(self) -> FakeLink:
        """The process dies and another one takes over."""
        self.link.kill()
        link = await self.spawner.next()
        await self.until(EngineState.RUNNING)
        return link

    async def until(self, state: EngineState) -> None:
        while self.engine.state is not state:  # noqa: ASYNC110 - only tests ever wait for a state
            await asyncio.sleep(0)


@pytest_asyncio.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    monkeypatch.setattr(client, "WATCH_S", 0.01)
    rig = Rig()
    await rig.engine.start()
    yield rig
    await rig.engine.stop(drain_s=0)


def fused(index: int, session: str = "a") -> WindowFused:
    counts = ModalityCounts(0, 0)
    return WindowFused(session, index, 0.0, 2.0, counts, counts, 0.0, 0.0, 0, 1.0)


def test_the_gateway_does_not_import_torch() -> None:
    program = "import sys, stream_service.engine.client; print([m for m in ('torch', 'pruner') if m in sys.modules])"
    root = Path(__file__).parents[3]
    out = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


async def test_refusals_reach_the_caller(rig: Rig) -> None:
    opening = asyncio.create_task(rig.engine.open("a", SessionSettings()))
    await asyncio.sleep(0)
    rig.link.receive(Opened("a", ErrorFacts.of(ServerFull("full", remedy="wait", retry_after=2.0))))
    with pytest.raises(ServerFull, match="full"):
        await opening
    await rig.open("a")
    with pytest.raises(Conflict):
        await rig.engine.open("a", SessionSettings())


async def test_a_failed_start_leaves_nothing_behind() -> None:
    spawner = Spawner()
    engine = LocalEngine(SETTINGS, spawner)

    async def spawn(settings: EngineSettings, receive: object) -> FakeLink:
        link: FakeLink = await spawner(settings, engine._receive)
        link.info_or_error = InvalidConfig("deep share 0.9 cannot be reached", remedy="Lower it.")
        return link

    engine._spawn = spawn  # type: ignore[assignment]
    with pytest.raises(InvalidConfig):
        await engine.start()
    assert engine.state is EngineState.STOPPED
    assert [event async for event in engine.events()] == []


async def test_what_is_sent_is_in_order(rig: Rig) -> None:
    await rig.open("a")
    rig.engine.feed(window(index=0))
    rig.engine.ask(question(), [window(index=1)])
    rig.engine.cancel("a", "q", CancelReason.CLIENT)
    kinds = [type(message) for message in rig.link.sent]
    assert kinds == [Open, Feed, Asked, Cancel]


async def test_windows_of_unknown_sessions_go_nowhere(rig: Rig) -> None:
    rig.engine.feed(window("nobody"))
    assert rig.link.sent == []


async def test_an_engine_that_does_not_read_costs_windows_not_memory(rig: Rig) -> None:
    await rig.open("a")
    rig.link.backed_up = True
    rig.engine.feed(window())
    assert await rig.next() == Overloaded("a", "windows", windows=1)


async def test_a_question_ends_once(rig: Rig) -> None:
    await rig.open("a")
    rig.engine.ask(question(), [])
    rig.link.receive(AnswerStarted("a", "q", 1.0))
    rig.link.receive(AnswerCancelled("a", "q", CancelReason.CLIENT))
    rig.link.receive(AnswerCancelled("a", "q", CancelReason.TIMEOUT))
    rig.link.receive(AnswerDelta("a", "q", "late"))
    rig.link.receive(fused(0))
    kinds = [type(await rig.next()) for _ in range(3)]
    assert kinds == [AnswerStarted, AnswerCancelled, WindowFused]


async def test_close_waits_for_the_engine(rig: Rig) -> None:
    await rig.open("a")
    closing = asyncio.create_task(rig.engine.close("a"))
    await asyncio.sleep(0)
    assert not closing.done()
    assert rig.link.sent[-1] == Close("a")
    rig.link.receive(Closed("a"))
    await closing
    await rig.engine.close("a")


async def test_an_open_that_nobody_waits_for_is_closed_again(rig: Rig) -> None:
    opening = asyncio.create_task(rig.engine.open("a", SessionSettings()))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    rig.link.receive(Opened("a"))
    assert rig.link.sent[-1] == Close("a")
    rig.link.receive(Closed("a"))
    await rig.open("a")


async def test_a_crash_ends_answers_and_rebuilds_sessions(rig: Rig) -> None:
    await rig.open("a", "b")
    for index in range(5):
        rig.engine.feed(window("a", index))
    rig.engine.ask(question(), [])
    rig.link.receive(AnswerDelta("a", "q", "half an "))
    link = await rig.restart()
    assert await rig.next() == AnswerDelta("a", "q", "half an ")
    assert await rig.next() == AnswerCancelled("a", "q", CancelReason.ENGINE_LOST, "half an ")
    assert [await rig.next(), await rig.next()] == [EngineRestarted("a", 3, 2), EngineRestarted("b", 0, 0)]
    opened = [message for message in link.sent if isinstance(message, Open)]
    assert [(message.session, message.rejoin) for message in opened] == [("a", True), ("b", True)]
    assert [message.window.index for message in link.sent if isinstance(message, Feed)] == [2, 3, 4]


async def test_windows_that_the_engine_dies_over_twice_are_not_fed_again(rig: Rig) -> None:
    await rig.open("a")
    rig.engine.feed(window("a", 0))
    await rig.restart()
    assert await rig.next() == EngineRestarted("a", 1, 0)
    await rig.restart()
    assert await rig.next() == EngineRestarted("a", 0, 1)


async def test_windows_fused_since_the_restart_are_trusted_again(rig: Rig) -> None:
    await rig.open("a")
    rig.engine.feed(window("a", 0))
    await rig.restart()
    rig.link.receive(fused(0))
    await rig.restart()
    assert [await rig.next() for _ in range(3)] == [EngineRestarted("a", 1, 0), fused(0), EngineRestarted("a", 1, 0)]


async def test_while_there_is_no_engine(rig: Rig) -> None:
    await rig.open("a")
    opening = asyncio.create_task(rig.engine.open("b", SessionSettings()))
    await asyncio.sleep(0)
    rig.link.kill()
    await rig.until(EngineState.RESTARTING)
    with pytest.raises(EngineUnavailable):
        await opening
    with pytest.raises(EngineUnavailable) as caught:
        await rig.engine.open("c", SessionSettings())
    assert caught.value.retry_after
    rig.engine.ask(question(), [window("a", 0)])
    fault = await rig.next()
    assert isinstance(fault, EngineFault)
    assert (fault.question, fault.code) == ("q", "engine_unavailable")
    link = await rig.spawner.next()
    assert await rig.next() == EngineRestarted("a", 1, 0)
    assert [message.window.index for message in link.sent if isinstance(message, Feed)] == [0]


async def test_a_silent_engine_is_replaced(rig: Rig) -> None:
    first = rig.link
    await rig.open("a")
    first.silent_s = SETTINGS.hang_s + 1
    await rig.spawner.next()
    assert first.lost.is_set()


async def test_a_consumer_that_does_not_keep_up_holds_the_engine_back(rig: Rig) -> None:
    await rig.open("a")
    for index in range(5000):
        rig.link.receive(fused(index))
        if rig.link.paused:
            break
    assert index == 4095
    while rig.link.paused:
        await rig.next()


async def test_stop_drains_then_ends_the_events(rig: Rig) -> None:
    await rig.open("a")
    rig.engine.ask(question(), [])
    await rig.engine.stop(drain_s=0.5)
    assert rig.link.sent[-1] == Stop(0.5)
    assert await rig.next() == AnswerCancelled("a", "q", CancelReason.SHUTDOWN)
    with pytest.raises(StopAsyncIteration):
        await rig.next()
    await rig.engine.stop(drain_s=0.5)
