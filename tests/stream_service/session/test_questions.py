"""Typed and spoken questions, and what they do to a running answer."""

import asyncio

import numpy as np
import pytest

from stream_service.errors import Busy, Conflict, InvalidQuestion, NotFound
from stream_service.session import endings
from stream_service.session.controller import Session
from stream_service.types import (
    AnswerDelta,
    AnswerDone,
    AnswerRestarted,
    AnswerStarted,
    CancelReason,
    EngineFault,
    QuestionSource,
    SpeechDropped,
    SpeechPaused,
    SpeechStarted,
    SpeechStopped,
    TalkMode,
    Utterance,
)
from tests.stream_service.fakes import sound
from tests.stream_service.session.conftest import House

UTTERANCE = Utterance(np.zeros(16_000, np.float32), 2.0, 3.0)


async def watched(house: House, seconds: int = 3) -> Session:
    """A session that has seen some media."""
    session = await house.publish()
    for at in range(seconds):
        session.on_audio(sound(at))
    house.route()
    return session


async def settle() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


async def test_a_typed_question_cuts_the_open_window_and_its_answer_is_told(house: House) -> None:
    session = await watched(house)
    house.clock.now = 200.0
    question = session.ask("  What   is\nthis? ")
    assert (question.text, question.at, question.source) == ("What is this?", 3.0, QuestionSource.HTTP)
    ((asked, closing),) = house.engine.asked
    assert asked == question
    assert [(window.start, window.end) for window in closing] == [(2.0, 3.0)]

    house.clock.now = 200.25
    house.engine.answer(question, "a red", " circle.")
    house.route()
    accepted, started, first, second, done = (
        event for event in house.events(session) if event["type"].startswith(("question", "answer"))
    )
    assert (accepted["type"], accepted["at"], accepted["source"]) == ("question.accepted", 3.0, "http")
    assert (started["type"], started["ttft_ms"]) == ("answer.started", 250.0)
    assert [first["text"], second["text"]] == ["a red", " circle."]
    assert (done["type"], done["text"], done["tokens_per_layer"]) == (
        "answer.done",
        "a red circle.",
        [122, 122, 50, 15],
    )
    assert done["survivors"] == [{"start": 0.0, "end": 2.0, "video": [72, 72, 30, 10], "audio": [50, 50, 20, 5]}]
    assert not session.turns.open()


@pytest.mark.parametrize("text", ["", " \n\t ", "x" * 201])
async def test_a_question_of_the_wrong_length_names_field_and_remedy(house: House, text: str) -> None:
    session = await watched(house)
    with pytest.raises(InvalidQuestion) as refused:
        session.ask(text)
    assert refused.value.field == "text"
    assert refused.value.remedy
    assert not house.engine.asked


async def test_a_question_before_anything_was_seen_is_refused_until_media_flows(house: House) -> None:
    session = await house.publish()
    with pytest.raises(Conflict) as refused:
        session.ask("What is this?")
    assert "window" in refused.value.remedy
    session.on_audio(sound(0.0, 0.5))
    assert session.ask("What is this?").at == 0.5


async def test_interrupt_cancels_the_running_answer(house: House) -> None:
    session = await watched(house)
    first = session.ask("What is this?")
    house.engine.emit(AnswerDelta(session.id, first.id, "a re"))
    house.route()
    second = session.ask("And now?")
    house.route()
    house.engine.answer(second, "blue")
    house.route()
    assert house.engine.cancelled == [(first.id, CancelReason.BARGE_IN)]
    (cancelled,) = house.events(session, "answer.cancelled")
    assert (cancelled["question"], cancelled["reason"]) == (first.id, "barge-in")
    (done,) = house.events(session, "answer.done")
    assert done["question"] == second.id


async def test_what_a_cancelled_answer_still_says_is_not_told(house: House) -> None:
    session = await watched(house)
    first = session.ask("What is this?")
    session.cancel(first.id)
    house.engine.answer(first, "too late")
    house.route()
    assert house.types(session)[-1] == "answer.cancelled"
    with pytest.raises(NotFound):
        session.cancel(first.id)


async def test_an_answer_that_begins_anew_tells_what_is_void(house: House) -> None:
    session = await watched(house)
    question = session.ask("What is this?")
    for event in (
        AnswerStarted(session.id, question.id, 12.0),
        AnswerDelta(session.id, question.id, "a blue squ"),
        AnswerRestarted(session.id, question.id, "a blue squ"),
    ):
        house.engine.emit(event)
    house.route()
    house.clock.now += 20.0
    house.engine.emit(AnswerStarted(session.id, question.id, 12.0))
    house.engine.emit(AnswerDelta(session.id, question.id, "a red"))
    house.route()
    told = house.events(session, "answer.started", "answer.delta", "answer.restarted")
    assert [event.get("text") for event in told] == [None, "a blue squ", "a blue squ", None, "a red"]
    assert told[3]["ttft_ms"] == told[0]["ttft_ms"] + 20_000
    session.close(endings.BY_CLIENT)
    (cancelled,) = house.events(session, "answer.cancelled")
    assert (cancelled["question"], cancelled["text"]) == (question.id, "a red")


async def test_queue_lets_a_bounded_number_wait(house: House) -> None:
    session = await house.publish(barge_in="queue")
    session.on_audio(sound(0.0, 2.0))
    session.ask("one?")
    session.ask("two?")
    with pytest.raises(Busy):
        session.ask("three?")
    assert not house.engine.cancelled
    assert [question.text for question, _ in house.engine.asked] == ["one?", "two?"]


async def test_refuse_refuses_while_an_answer_runs(house: House) -> None:
    session = await house.publish(barge_in="refuse")
    session.on_audio(sound(0.0, 2.0))
    first = session.ask("one?")
    with pytest.raises(Busy) as refused:
        session.ask("two?")
    assert refused.value.retry_after
    house.engine.answer(first, "yes")
    house.route()
    session.ask("three?")


async def test_a_refused_question_leaves_the_open_window_open(house: House) -> None:
    session = await house.publish(barge_in="refuse")
    session.on_audio(sound(0.0, 2.0))
    session.ask("one?")
    session.on_audio(sound(2.0, 1.0))
    with pytest.raises(Busy):
        session.ask("two?")
    assert session.windows == 1


async def test_a_spoken_question_is_cut_at_its_end_and_counts_its_waiting(house: House) -> None:
    session = await watched(house, 3)
    house.clock.now = 300.0
    house.listener.next = [SpeechStarted(2.2)]
    session.on_audio(sound(3.0, 0.5))
    house.listener.next = [SpeechPaused(3.0, UTTERANCE), SpeechStopped(3.0, 0.8, UTTERANCE)]
    session.on_audio(sound(3.5, 0.25))
    assert house.engine.fed[-1].end == 3.0, "the engine starts on the closing window before the words are known"
    assert house.recogniser.anticipated == [UTTERANCE]
    await settle()
    ((question, closing),) = house.engine.asked
    assert (question.text, question.at, question.confidence) == ("What colour is the circle?", 3.0, 0.9)
    assert closing == []
    house.clock.now = 300.5
    house.engine.answer(question, "red")
    house.route()
    started, stopped = house.events(session, "speech.started", "speech.stopped")
    assert (started["at"], stopped["at"], stopped["duration"], stopped["dropped"]) == (2.2, 3.0, 0.8, None)
    (accepted,) = house.events(session, "question.accepted")
    assert accepted["timings_ms"] == {"hang_over": 750.0, "transcribe": 80.0}
    (first,) = house.events(session, "answer.started")
    assert first["ttft_ms"] == 1250.0, "from the last voiced sample: 750 ms hang-over and 500 ms since"
    (done,) = house.events(session, "answer.done")
    assert done["timings_ms"]["hang_over"] == 750.0
    assert done["timings_ms"]["guide"] == 5.0


async def test_speech_that_is_none_or_not_understood_is_said_and_not_asked(house: House) -> None:
    session = await watched(house)
    house.listener.next = [SpeechStarted(1.0), SpeechDropped(1.5, "Too short.")]
    session.on_audio(sound(3.0, 0.25))
    house.recogniser.rejected = "Too quiet."
    house.listener.next = [SpeechStopped(3.0, 0.8, UTTERANCE)]
    session.on_audio(sound(3.25, 0.25))
    await settle()
    dropped = house.events(session, "speech.stopped")[0]
    assert (dropped["duration"], dropped["dropped"]) == (0.5, "Too short.")
    (error,) = house.events(session, "error")
    assert (error["code"], error["message"]) == ("speech_not_understood", "Too quiet.")
    assert not house.engine.asked


async def test_a_busy_recogniser_is_an_event_and_hearing_goes_on(house: House) -> None:
    session = await watched(house)
    house.recogniser.error = Busy("Too many speak.", remedy="Say it again.")
    house.listener.next = [SpeechStopped(3.0, 0.8, UTTERANCE)]
    session.on_audio(sound(3.0, 0.25))
    await settle()
    house.recogniser.error = None
    house.listener.next = [SpeechStopped(3.2, 0.8, UTTERANCE)]
    session.on_audio(sound(3.25, 0.25))
    await settle()
    (error,) = house.events(session, "error")
    assert error["code"] == "busy"
    assert len(house.engine.asked) == 1


async def test_too_much_speech_at_once_is_dropped_with_a_reason(house: House) -> None:
    session = await watched(house)
    house.listener.next = [SpeechStopped(3.0, 0.5, UTTERANCE)] * 6
    session.on_audio(sound(3.0, 0.25))
    dropped = [event for event in house.events(session, "speech.stopped") if event["dropped"]]
    assert len(dropped) == 2


async def test_push_to_talk_needs_its_mode(house: House) -> None:
    session = await watched(house)
    with pytest.raises(Conflict):
        session.press()
    session.set_talk(TalkMode.PUSH_TO_TALK)
    session.press()
    house.listener.next = [SpeechStopped(3.0, 0.5, UTTERANCE)]
    session.release()
    await settle()
    assert house.listener.calls == ["hands_free", "push_to_talk", "press", "release"]
    assert len(house.engine.asked) == 1


async def test_a_server_without_speech_says_so(house: House) -> None:
    house.hears = False
    session = await watched(house)
    assert session.talk is TalkMode.OFF
    with pytest.raises(Conflict, match="does not listen"):
        session.set_talk(TalkMode.HANDS_FREE)


async def test_a_fault_of_the_engine_ends_its_question_once(house: House) -> None:
    session = await watched(house)
    question = session.ask("What is this?")
    fault = EngineFault(session.id, "invalid_input", "The retention is out of reach.", "Ask for 0.3.", question.id)
    house.engine.emit(fault)
    house.engine.emit(fault)
    house.engine.emit(AnswerDone(session.id, question.id, "", "stop", {}, (), (), 0.0, 0.0, 0))
    house.route()
    (error,) = house.events(session, "error", "answer.done")
    assert (error["type"], error["question"]) == ("error", question.id)
