"""Opening, naming, losing and closing sessions."""

import asyncio

import numpy as np
import pytest

from stream_service.answers.log import Interrupted, Opening
from stream_service.errors import Conflict, EngineUnavailable, Forbidden, InvalidInput, InvalidSdp, NotFound, ServerFull
from stream_service.session import endings
from stream_service.session.controller import SessionOptions
from stream_service.session.lifecycle import Lifecycle, LifecycleError, SessionState
from stream_service.session.resumption import opening_of, options_of
from stream_service.types import (
    BreakKind,
    CancelReason,
    EngineRestarted,
    MediaBreak,
    MediaSink,
    Overloaded,
    Published,
    SessionSettings,
    Span,
    SpeechStopped,
    StoreEvicted,
    TalkMode,
    Utterance,
)
from tests.stream_service.fakes import sound, wall
from tests.stream_service.session.conftest import House


async def test_a_session_opens_with_an_unguessable_id_and_tells_what_it_is(house: House) -> None:
    session = await house.publish("front-door")
    assert len(session.id) >= 20
    assert house.sessions.get("front-door") is house.sessions.get(session.id) is session
    (started,) = house.events(session)
    assert started["type"] == "session.started"
    assert started["config"] == {"name": "front-door", "talk": "hands_free", "barge_in": "interrupt", "grace_s": 30.0}
    assert started["model"]["fusion_depth"] == 2
    assert session.state is SessionState.LIVE


async def test_what_its_publisher_chose_is_told(house: House) -> None:
    options = SessionOptions(TalkMode.OFF, "queue", engine=SessionSettings(budget=64))
    session, _ = await house.sessions.publish("offer", None, options)
    (started,) = house.events(session)
    assert (started["config"]["talk"], started["config"]["barge_in"]) == ("off", "queue")
    assert (started["model"]["budget"], started["model"]["deep_share"]) == (64, 0.3)


@pytest.mark.parametrize("kind", BreakKind)
async def test_only_a_gap_ends_an_utterance(house: House, kind: BreakKind) -> None:
    session = await house.publish()
    session.on_break(MediaBreak(1.0, kind))
    assert ("reset" in house.listener.calls) is (kind is BreakKind.GAP)


async def test_windows_flow_to_the_engine_and_are_told_when_fused(house: House) -> None:
    session = await house.publish()
    for at in range(4):
        session.on_audio(sound(at))
    assert session.windows_in_flight == 2
    house.route()
    assert session.windows_in_flight == 0
    first, second = house.events(session, "window.fused")
    assert (first["index"], first["at"], second["at"]) == (0, 2.0, 4.0)
    assert first["seen"] == {"video": 72, "audio": 50}


async def test_a_name_is_unique_while_its_source_lives(house: House) -> None:
    session = await house.publish("door")
    with pytest.raises(Conflict):
        await house.publish("door")
    await house.sessions.close("door", endings.BY_CLIENT)
    again = await house.publish("door")
    assert again.id != session.id


@pytest.mark.parametrize("name", ["", "a/b", "-dash", "ümlaut", "x" * 65, "a b"])
async def test_a_name_that_cannot_be_one_is_refused(house: House, name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await house.publish(name)
    assert refused.value.field == "name"


async def test_two_publishers_of_one_new_name_do_not_both_get_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = house.engine.open

    async def slowly(session: str, settings: SessionSettings) -> None:
        await asyncio.sleep(0)  # the other publisher's turn, as with a real engine
        await opened(session, settings)

    monkeypatch.setattr(house.engine, "open", slowly)
    outcomes = await asyncio.gather(house.publish("door"), house.publish("door"), return_exceptions=True)
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1
    await house.sessions.close("door", endings.BY_CLIENT)
    assert house.sessions.find("door") is None


@pytest.mark.parametrize("where", ["engine", "negotiation"])
async def test_a_session_that_cannot_start_leaves_nothing_behind(house: House, where: str) -> None:
    if where == "engine":
        house.engine.refuse = ServerFull("No room.", remedy="Later.", retry_after=5)
        expected: type[Exception] = ServerFull
    else:
        house.sources.refuse = InvalidSdp("No media.", remedy="Offer some.")
        expected = InvalidSdp
    with pytest.raises(expected):
        await house.publish("door")
    assert house.sessions.all() == []
    assert set(house.engine.opened) == set(house.engine.closed)
    house.engine.refuse = house.sources.refuse = None
    await house.publish("door")


@pytest.mark.parametrize("again", [False, True])
async def test_a_session_closed_during_negotiation_keeps_no_source(
    house: House, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    publish = house.sources.publish

    async def closing(id: str, offer: str, sink: MediaSink) -> Published:
        published = await publish(id, offer, sink)
        await house.sessions.close(id, endings.BY_CLIENT)
        return published

    if again:
        session = await house.publish("door")
        session.on_lost("gone")
    monkeypatch.setattr(house.sources, "publish", closing)
    with pytest.raises(NotFound):
        await house.publish("door")
    assert len(house.sources.ended) == 2
    assert house.sessions.all() == []
    assert not house.sessions._tasks
    monkeypatch.undo()
    await house.publish("door")


async def test_a_lost_source_comes_back_to_its_session(house: House) -> None:
    session = await house.publish("door", owner="token-a")
    session.on_audio(sound(0.0, 2.0))
    session.on_lost("connection failed")
    session.on_lost("connection failed, again")
    house.clock.now += 4.5
    with pytest.raises(Forbidden):
        await house.publish("door", owner="token-b")
    assert await house.publish("door", owner="token-a") is session
    session.on_back()
    lost, back = house.events(session, "source.lost", "source.back")
    assert (lost["since"], lost["grace_left"], lost["reason"]) == (2.0, 30.0, "connection failed")
    assert back["gap"] == 4.5
    assert house.listener.calls[-1] == "reset"


async def test_the_id_may_republish_at_any_time(house: House) -> None:
    session = await house.publish("door")
    options = session.options
    found, _ = await house.sessions.publish("offer", session.id, options)
    assert found is session


async def test_a_session_ends_when_its_grace_is_over(house: House) -> None:
    session = await house.publish()
    session.on_lost("gone")
    house.clock.now += 29.9
    house.sessions.tick()
    await asyncio.sleep(0)
    assert house.sessions.find(session.id) is session
    house.clock.now += 0.1
    house.sessions.tick()
    for _ in range(5):
        await asyncio.sleep(0)
    assert house.sessions.find(session.id) is None
    closed = house.events(session)[-1]
    assert (closed["code"], closed["reason"]) == ("source_lost", "the source did not come back")
    assert house.engine.closed == [session.id]
    assert house.sources.ended == [session.id]


async def test_a_session_without_media_expires(house: House) -> None:
    session = await house.publish()
    house.clock.now += 59.0
    session.on_audio(sound(0.0))
    house.clock.now += 59.0
    assert session.expired() is None
    house.clock.now += 1.0
    assert session.expired() == endings.idle(60.0)


async def test_closing_ends_the_questions_on_the_wire_and_hears_no_more(house: House) -> None:
    session = await house.publish()
    session.on_audio(sound(0.0, 2.0))
    question = session.ask("What is this?")
    await house.sessions.close(session.id, endings.BY_CLIENT)
    house.engine.answer(question, "late")
    house.route()
    session.on_audio(sound(2.0, 2.0))
    session.on_lost("late")
    session.on_back()
    session.on_break(MediaBreak(2.0, BreakKind.GAP))
    session.close(endings.SHUTDOWN)
    last = house.events(session)[-2:]
    assert [(event["type"], event["reason"]) for event in last] == [
        ("answer.cancelled", "session closed"),
        ("session.closed", "closed by a client"),
    ]
    assert last[1]["code"] == "client"
    with pytest.raises(NotFound):
        await house.sessions.close(session.id, endings.BY_CLIENT)


async def test_stopping_lets_running_answers_finish_and_takes_nothing_new(house: House) -> None:
    session = await house.publish()
    session.on_audio(sound(0.0, 2.0))
    question = session.ask("What is this?")
    stopping = asyncio.create_task(house.sessions.stop(60.0))
    await asyncio.sleep(0)
    with pytest.raises(EngineUnavailable):
        await house.publish()
    with pytest.raises(EngineUnavailable):
        house.sessions.ask(session.id, "And this?")
    house.engine.answer(question, "a circle")
    house.route()
    await stopping
    assert house.types(session)[-2:] == ["answer.done", "session.closed"]
    assert house.events(session)[-1]["code"] == "shutdown"


async def test_a_hurried_stop_cancels_what_runs(house: House) -> None:
    session = await house.publish()
    session.on_audio(sound(0.0, 2.0))
    session.ask("What is this?")
    stopping = asyncio.create_task(house.sessions.stop(60.0))
    await asyncio.sleep(0)
    house.sessions.hurry()
    await stopping
    assert house.events(session, "answer.cancelled")[0]["reason"] == CancelReason.SHUTDOWN


async def test_a_failing_session_is_closed_and_the_others_live(house: House, caplog: pytest.LogCaptureFixture) -> None:
    broken, healthy = await house.publish(), await house.publish()
    house.recogniser.error = RuntimeError("a mistake of ours")
    house.listener.next = [SpeechStopped(1.0, 0.5, Utterance(np.zeros(16_000, np.float32), 0.5, 1.0))]
    broken.on_audio(sound(0.0))
    for _ in range(12):
        await asyncio.sleep(0)
    assert [event.get("code") for event in house.events(broken)[-2:]] == ["internal", "internal"]
    assert house.types(broken)[-2:] == ["error", "session.closed"]
    assert house.sessions.all() == [healthy]
    assert "failed" in caplog.text


async def test_the_engine_s_troubles_are_told(house: House) -> None:
    session = await house.publish()
    for event in (
        StoreEvicted(session.id, 40, 2, 0.75),
        Overloaded(session.id, "fewer frames", windows=1, frames=2),
        EngineRestarted(session.id, 3, (Span(0, 1), Span(4, 4))),
    ):
        house.engine.emit(event)
    house.route()
    evicted, overload, restarted = house.events(session)[1:]
    assert (evicted["type"], evicted["tokens"], evicted["chunks_thinned"]) == ("store.evicted", 40, 2)
    assert (overload["type"], overload["action"], overload["frames"]) == ("overload", "fewer frames", 2)
    assert (restarted["type"], restarted["windows_refed"], restarted["windows_lost"]) == ("engine.restarted", 3, 3)
    assert restarted["lost"] == [{"first": 0, "last": 1}, {"first": 4, "last": 4}]


async def test_a_changed_budget_is_told_and_remembered(house: House) -> None:
    session = await house.publish("door")
    assert session.session_bytes == 1024
    resized = await house.sessions.resize("door", 256)
    house.route()
    changed = house.events(session)[-1]
    assert (changed["type"], changed["budget"], changed["session_bytes"]) == ("session.changed", 256, 512)
    assert (resized.budget, session.session_bytes, session.options.engine.budget) == (256, 512, 256)
    assert options_of(house.amended[-1]) == session.options
    await house.sessions.close("door", endings.BY_CLIENT)
    house.sessions.on_engine(resized)  # what comes too late changes nothing any more
    assert house.types(session)[-1] == "session.closed"
    assert len(house.amended) == 1


async def test_a_stop_leaves_named_sessions_open_where_the_log_outlasts_it(house: House) -> None:
    sessions = house.lasting_sessions
    options = SessionOptions(TalkMode.HANDS_FREE, "interrupt", "door")
    named, _ = await sessions.publish("offer", "door", options)
    unnamed, _ = await sessions.publish("offer", None, SessionOptions(TalkMode.HANDS_FREE, "interrupt"))
    named.on_audio(sound(0.0, 2.0))
    named.ask("What is this?")
    await sessions.stop(0.0)
    assert house.left_open == [named.id]
    assert house.types(named)[-1] == "answer.cancelled"
    assert house.types(unnamed)[-1] == "session.closed"
    assert (sessions.all(), sorted(house.engine.closed)) == ([], sorted([named.id, unnamed.id]))


PAST = Interrupted(
    opening_of("past", SessionOptions(TalkMode.OFF, "queue", "door", "token-a", SessionSettings(budget=64))),
    at=40.0,
    wall=wall(),
    windows=7,
    unanswered={"q1": "a red", "q2": ""},
)


async def test_a_session_that_was_cut_off_ends_its_questions_and_waits_for_its_source(house: House) -> None:
    await house.sessions.resume([PAST])
    session = house.sessions.get("door")
    assert (session.id, session.state, session.options.barge_in) == ("past", SessionState.LOST, "queue")
    assert house.engine.opened == {"past": SessionSettings(budget=64)}
    first, second, restarted, lost = house.events(session)
    assert [(one["question"], one["reason"], one["text"]) for one in (first, second)] == [
        ("q1", "server lost", "a red"),
        ("q2", "server lost", ""),
    ]
    assert (restarted["type"], restarted["windows_refed"], restarted["windows_lost"]) == ("engine.restarted", 0, 7)
    assert (lost["type"], lost["reason"]) == ("source.lost", "the server was restarted")
    with pytest.raises(Conflict, match="Nothing of the stream"):
        session.ask("What was there?")
    with pytest.raises(Forbidden):
        await house.publish("door", owner="token-b")
    assert await house.publish("door", owner="token-a") is session
    session.on_back()
    session.on_audio(sound(0.0, 2.0))
    assert session.windows_in_flight == 1
    session.ask("What is there?")


async def test_a_session_that_was_cut_off_and_stays_alone_is_closed(house: House) -> None:
    await house.sessions.resume([PAST])
    house.clock.now += 30.0
    house.sessions.tick()
    for _ in range(5):
        await asyncio.sleep(0)
    assert house.sessions.all() == []
    assert house.written["past"].finished


async def test_an_engine_without_room_for_it_ends_a_session_that_was_cut_off(house: House) -> None:
    house.engine.refuse = ServerFull("No room.", remedy="Later.", retry_after=5)
    await house.sessions.resume([PAST])
    assert house.sessions.all() == []
    house.engine.refuse = None
    assert (await house.publish("door")).id != "past"


def test_a_closed_session_cannot_live_again() -> None:
    life = Lifecycle()
    life.to(SessionState.CLOSED)
    with pytest.raises(LifecycleError):
        life.to(SessionState.LIVE)


def test_what_a_publisher_chose_survives_in_the_log() -> None:
    options = SessionOptions(TalkMode.PUSH_TO_TALK, "refuse", "door", "me", SessionSettings(budget=64, deep_share=0.5))
    opening = opening_of("id", options)
    assert options_of(opening) == options
    newer = opening.options.replace('"budget"', '"unheard_of": 1, "budget"')
    assert options_of(Opening("id", "door", newer)) == options
