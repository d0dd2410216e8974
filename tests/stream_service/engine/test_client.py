"""The gateway's side of the engine, with links that stand for processes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from stream_service.engine.client import EngineState
from stream_service.engine.messages import Asked, Cancel, Close, Closed, ErrorFacts, Feed, Open, Opened, Stop
from stream_service.errors import Conflict, InvalidConfig, ServerFull
from stream_service.types import (
    AnswerCancelled,
    AnswerDelta,
    AnswerStarted,
    CancelReason,
    EngineFault,
    Overloaded,
    SessionSettings,
    WindowFused,
)
from tests.stream_service.engine.builders import question, window
from tests.stream_service.engine.rig import SETTINGS, Rig, fused


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
    rig = Rig()
    rig.spawner.refusals = [InvalidConfig("deep share 0.9 cannot be reached", remedy="Lower it.")]
    with pytest.raises(InvalidConfig):
        await rig.engine.start()
    assert rig.engine.state is EngineState.STOPPED
    assert [event async for event in rig.engine.events()] == []


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


async def test_questions_to_unknown_sessions_end_at_once(rig: Rig) -> None:
    rig.engine.ask(question(session="nobody"), [])
    (fault,) = await rig.next()
    assert isinstance(fault, EngineFault)
    assert (fault.question, fault.code) == ("q", "not_found")
    assert rig.link.sent == []


async def test_an_engine_that_does_not_read_costs_windows_not_memory(rig: Rig) -> None:
    await rig.open("a")
    rig.link.backed_up = True
    rig.engine.feed(window())
    assert await rig.next() == [Overloaded("a", "windows", windows=1)]


async def test_a_question_ends_once(rig: Rig) -> None:
    await rig.open("a")
    rig.engine.ask(question(), [])
    rig.link.receive(AnswerStarted("a", "q", 1.0))
    rig.link.receive(AnswerCancelled("a", "q", CancelReason.CLIENT))
    rig.link.receive(AnswerCancelled("a", "q", CancelReason.TIMEOUT))
    rig.link.receive(AnswerDelta("a", "q", "late"))
    rig.link.receive(fused(0))
    kinds = list(map(type, await rig.next(3)))
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


async def test_a_silent_engine_is_replaced(rig: Rig) -> None:
    first = rig.link
    await rig.open("a")
    rig.spawner.open.clear()
    first.silent_s = SETTINGS.hang_s + 1
    await rig.until(EngineState.RESTARTING)
    await rig.recover()
    assert first.lost.is_set()
    assert rig.link is not first


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
    assert await rig.next() == [AnswerCancelled("a", "q", CancelReason.SHUTDOWN)]
    with pytest.raises(StopAsyncIteration):
        await rig.next()
    await rig.engine.stop(drain_s=0.5)
