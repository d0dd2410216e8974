"""What the gateway does when the engine dies: what is asked again, what ends, and what the next engine is given."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

from stream_service.engine.client import EngineState
from stream_service.engine.messages import Cancel, Close, Heartbeat, Open, Opened, Prepare
from stream_service.engine.settings import EngineSettings
from stream_service.errors import EngineUnavailable, StartupError
from stream_service.types import (
    AnswerCancelled,
    AnswerDelta,
    AnswerDone,
    AnswerRestarted,
    AnswerStarted,
    CancelReason,
    EngineFault,
    EngineRestarted,
    EngineStats,
    Overloaded,
    SessionSettings,
    Span,
)
from tests.stream_service.engine.builders import question, window
from tests.stream_service.engine.rig import SETTINGS, Rig, fused


@pytest_asyncio.fixture
async def standby() -> Rig:
    """An engine with a spare that is being prepared."""
    rig = Rig(SETTINGS.model_copy(update={"standby": True}))
    await rig.engine.start()
    await rig.processes(2)
    await asyncio.sleep(0)
    return rig


def done(id: str = "q", text: str = "") -> AnswerDone:
    return AnswerDone("a", id, text, "stop", {}, (), (), 0.3, 0.3, 1)


async def test_a_running_answer_begins_anew_behind_the_windows_it_was_asked_about(rig: Rig) -> None:
    await rig.open("a", "b")
    for index in range(4):
        rig.engine.feed(window("a", index))
    rig.engine.ask(question(), [window("a", 4)])
    rig.link.receive(AnswerStarted("a", "q", 1.0))
    rig.link.receive(AnswerDelta("a", "q", "half an "))
    rig.engine.feed(window("a", 5))
    await rig.restart()
    assert await rig.next(5) == [
        AnswerStarted("a", "q", 1.0),
        AnswerDelta("a", "q", "half an "),
        AnswerRestarted("a", "q", "half an "),
        EngineRestarted("a", 3, (Span(0, 2),)),
        EngineRestarted("b", 0),
    ]
    opened = [message for message in rig.link.sent if isinstance(message, Open)]
    assert [(message.session, message.rejoin) for message in opened] == [("a", True), ("b", True)]
    assert rig.sent() == [3, 4, "q", 5]
    rig.link.receive(AnswerDelta("a", "q", "a whole"))
    rig.link.receive(done(text="a whole"))
    assert await rig.next(2) == [AnswerDelta("a", "q", "a whole"), done(text="a whole")]


async def test_waiting_questions_are_asked_again_in_their_order(rig: Rig) -> None:
    await rig.open("a")
    rig.engine.feed(window("a", 0))
    rig.engine.ask(question("q1"), [])
    rig.engine.feed(window("a", 1))
    rig.engine.ask(question("q2"), [])
    await rig.restart()
    assert await rig.next(3) == [
        AnswerRestarted("a", "q1"),
        AnswerRestarted("a", "q2"),
        EngineRestarted("a", 2),
    ]
    assert rig.sent() == [0, "q1", 1, "q2"]


async def test_a_question_that_the_engine_dies_over_twice_ends(rig: Rig) -> None:
    await rig.open("a", "b")
    rig.engine.feed(window("a", 0))
    rig.engine.ask(question(), [])
    await rig.restart()
    rig.link.receive(fused(0))
    rig.engine.ask(question("other", "b"), [])
    rig.link.receive(AnswerDelta("a", "q", "so"))
    await rig.restart()
    assert await rig.next(9) == [
        AnswerRestarted("a", "q"),
        EngineRestarted("a", 1),
        EngineRestarted("b", 0),
        fused(0),
        AnswerDelta("a", "q", "so"),
        AnswerCancelled("a", "q", CancelReason.ENGINE_LOST, "so"),
        AnswerRestarted("b", "other"),
        EngineRestarted("a", 1),
        EngineRestarted("b", 0),
    ]
    assert rig.sent() == [0, "other"] or rig.sent() == ["other", 0]


async def test_questions_asked_meanwhile_wait_up_to_the_limit(rig: Rig) -> None:
    await rig.open("a")
    rig.engine.feed(window("a", 0))
    rig.engine.ask(question("q1"), [])
    await rig.crash()
    assert not rig.engine.ready
    rig.engine.feed(window("a", 1))
    rig.engine.ask(question("q2"), [window("a", 2)])
    rig.engine.ask(question("q3"), [])
    rig.engine.ask(question("q4"), [])
    restarted, fault = await rig.next(2)
    assert restarted == AnswerRestarted("a", "q1")
    assert isinstance(fault, EngineFault)
    assert (fault.question, fault.code) == ("q4", "busy")
    await rig.recover()
    assert rig.sent() == [0, "q1", 1, 2, "q2", "q3"]


async def test_a_question_asked_in_the_moment_of_the_crash_is_not_lost(rig: Rig) -> None:
    await rig.open("a")
    rig.spawner.open.clear()
    rig.link.kill()  # and nobody has noticed
    rig.engine.ask(question(), [window("a", 0)])
    await rig.restart()
    assert rig.sent() == [0, "q"]


async def test_barge_in_ends_a_question_that_waits_for_the_engine(rig: Rig) -> None:
    await rig.open("a")
    rig.engine.ask(question("q1"), [window("a", 0)])
    await rig.crash()
    rig.engine.cancel("a", "q1", CancelReason.BARGE_IN)
    rig.engine.ask(question("q2"), [])
    await rig.recover()
    rig.engine.cancel("a", "q1", CancelReason.BARGE_IN)
    assert await rig.next(3) == [
        AnswerRestarted("a", "q1"),
        AnswerCancelled("a", "q1", CancelReason.BARGE_IN),
        EngineRestarted("a", 1),
    ]
    assert rig.sent() == [0, "q2"]


async def test_a_question_that_was_being_cancelled_is_not_asked_again(rig: Rig) -> None:
    await rig.open("a")
    rig.engine.ask(question("q1"), [window("a", 0)])
    rig.link.receive(AnswerDelta("a", "q1", "it"))
    rig.engine.cancel("a", "q1", CancelReason.BARGE_IN)
    rig.engine.ask(question("q2"), [])
    assert Cancel("a", "q1", CancelReason.BARGE_IN) in rig.link.sent
    await rig.restart()
    assert await rig.next(4) == [
        AnswerDelta("a", "q1", "it"),
        AnswerCancelled("a", "q1", CancelReason.BARGE_IN, "it"),
        AnswerRestarted("a", "q2"),
        EngineRestarted("a", 1),
    ]
    assert rig.sent() == [0, "q2"]


async def test_a_session_closed_meanwhile_ends_its_questions(rig: Rig) -> None:
    await rig.open("a", "b")
    rig.engine.ask(question("qa"), [window("a", 0)])
    rig.engine.ask(question("qb", "b"), [window("b", 0)])
    closing = asyncio.create_task(rig.engine.close("b"))
    await asyncio.sleep(0)
    assert rig.link.sent[-1] == Close("b")
    await rig.crash()
    await closing
    await rig.engine.close("a")
    assert await rig.next(3) == [
        AnswerCancelled("b", "qb", CancelReason.SESSION_CLOSED),
        AnswerRestarted("a", "qa"),
        AnswerCancelled("a", "qa", CancelReason.SESSION_CLOSED),
    ]
    await rig.recover()
    assert rig.link.sent == []


async def test_sessions_cannot_be_opened_meanwhile(rig: Rig) -> None:
    opening = asyncio.create_task(rig.engine.open("b", SessionSettings()))
    await asyncio.sleep(0)
    await rig.crash()
    with pytest.raises(EngineUnavailable):
        await opening
    with pytest.raises(EngineUnavailable) as caught:
        await rig.engine.open("c", SessionSettings())
    assert caught.value.retry_after


async def test_a_start_that_fails_is_tried_again_while_questions_have_time(rig: Rig) -> None:
    await rig.open("a")
    rig.engine.ask(question("q1"), [window("a", 0)])
    rig.spawner.refusals = [StartupError("no", remedy="Look."), StartupError("no", remedy="Look.")]
    await rig.restart()
    assert await rig.next(2) == [AnswerRestarted("a", "q1"), EngineRestarted("a", 1)]
    assert len(rig.spawner.links) == 4
    assert rig.sent() == [0, "q1"]


async def test_questions_do_not_wait_for_ever_for_an_engine_that_cannot_start() -> None:
    rig = Rig(SETTINGS.model_copy(update={"answer_timeout_s": 1e-9}))
    await rig.engine.start()
    await rig.open("a")
    rig.engine.ask(question("q1"), [window("a", 0)])
    rig.spawner.refusals = [StartupError("no", remedy="Look.")]
    await rig.restart()
    assert await rig.next(3) == [
        AnswerRestarted("a", "q1"),
        AnswerCancelled("a", "q1", CancelReason.ENGINE_LOST),
        EngineRestarted("a", 1),
    ]
    assert rig.sent() == [0]
    await rig.engine.stop(drain_s=0)


async def test_stopping_meanwhile_ends_what_waits(rig: Rig) -> None:
    await rig.open("a")
    rig.engine.ask(question("q1"), [window("a", 0)])
    await rig.crash()
    await rig.engine.stop(drain_s=5)
    assert await rig.next(2) == [AnswerRestarted("a", "q1"), AnswerCancelled("a", "q1", CancelReason.SHUTDOWN)]
    rig.engine.feed(window("a", 1))  # nobody listens any more


async def test_a_memory_is_rebuilt_a_few_windows_at_a_time_and_the_asked_one_first() -> None:
    rig = Rig(SETTINGS.model_copy(update={"refeed_windows": 8}))
    await rig.engine.start()
    await rig.open("a", "b")
    for index in range(8):
        rig.engine.feed(window("a", index))
        rig.engine.feed(window("b", index + 100))
    rig.engine.ask(question("q", "b"), [])
    await rig.restart()
    assert rig.sent() == [100, 101, 102, 103]
    rig.engine.feed(window("b", 108))  # which pushes window 100 out of what is held, but not out of the new memory
    rig.link.receive(fused(101, "b"))
    assert rig.sent()[4:] == [104, 105]
    rig.link.receive(fused(105, "b"))
    assert rig.sent()[6:] == [106, 107, "q", 108, 0, 1, 2, 3]
    rig.link.receive(Heartbeat(EngineStats(2, 0, 0, 0.0, 1)))  # the engine refused them all
    assert rig.sent()[14:] == [4, 5, 6, 7]
    rig.engine.feed(window("a", 8))
    assert rig.sent()[-1] == 8
    await rig.engine.stop(drain_s=0)


async def test_no_more_windows_are_given_again_at_once_than_the_engine_lets_wait() -> None:
    rig = Rig(SETTINGS.model_copy(update={"window_queue": 2}))
    await rig.engine.start()
    await rig.open("a")
    for index in range(3):
        rig.engine.feed(window("a", index))
    await rig.restart()
    assert rig.sent() == [0, 1]
    rig.link.receive(fused(0))
    assert rig.sent() == [0, 1, 2]
    await rig.engine.stop(drain_s=0)


async def test_a_window_pushed_out_before_it_was_given_again_is_told() -> None:
    rig = Rig(SETTINGS.model_copy(update={"refeed_windows": 8}))
    await rig.engine.start()
    await rig.open("a")
    for index in range(8):
        rig.engine.feed(window("a", index))
    await rig.restart()
    for index in range(8, 13):
        rig.engine.feed(window("a", index))
    assert await rig.next(2) == [EngineRestarted("a", 8), Overloaded("a", "windows", windows=1)]
    for index in (3, 8, 12):
        rig.link.receive(fused(index))
    assert rig.sent() == [0, 1, 2, 3, *range(5, 13)]
    await rig.engine.stop(drain_s=0)


async def test_what_is_held_is_packed(rig: Rig) -> None:
    await rig.open("a")
    rig.engine.feed(window("a", 0, media=True))
    rig.engine._packer.submit(int).result()  # all that was submitted before is done
    await rig.restart()
    assert rig.packed() == [True]


async def test_the_budget_says_how_much_is_held() -> None:
    rig = Rig(EngineSettings(standby=False))  # the fake model: 4096 tokens, 64 a window
    await rig.engine.start()
    await rig.open("a")
    for index in range(66):
        rig.engine.feed(window("a", index))
    await rig.restart()
    assert await rig.next() == [EngineRestarted("a", 64, (Span(0, 1),))]
    await rig.engine.stop(drain_s=0)


async def test_a_session_that_cannot_be_rebuilt_is_told_and_its_question_goes_on_to_the_engine(rig: Rig) -> None:
    await rig.open("a")
    rig.engine.ask(question(), [window("a", 0)])
    await rig.restart()
    rig.link.receive(Opened("a"))
    assert rig.sent() == [0, "q"]
    rig.link.receive(EngineFault("a", "not_found", "no such session", "Open it.", "q"))
    assert (await rig.next(3))[2] == EngineFault("a", "not_found", "no such session", "Open it.", "q")


async def test_a_spare_takes_over_and_another_one_is_prepared(standby: Rig) -> None:
    first, spare = standby.spawner.links
    assert spare.sent == [Prepare(10)]
    spare.prepared.set()
    first.kill()
    await standby.processes(3)
    assert standby.running is spare
    await standby.engine.stop(drain_s=0)
    assert standby.spawner.links[2].lost.is_set()


async def test_nobody_waits_for_a_spare_that_is_not_prepared(standby: Rig) -> None:
    first, spare = standby.spawner.links
    first.kill()
    await standby.processes(3)
    await standby.until(EngineState.RUNNING)
    assert standby.running is standby.spawner.links[2]
    spare.prepared.set()
    standby.running.kill()
    await standby.processes(4)
    assert standby.running is spare
    await standby.engine.stop(drain_s=0)


async def test_a_spare_that_ended_is_no_help_and_replaced(standby: Rig) -> None:
    first, spare = standby.spawner.links
    spare.prepared.set()
    spare.kill()
    first.kill()
    await standby.processes(4)
    assert standby.running is standby.spawner.links[2]
    assert standby.spawner.links[3].sent == [Prepare(10)]
    await standby.engine.stop(drain_s=0)
