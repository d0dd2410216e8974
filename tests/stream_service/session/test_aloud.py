"""Questions that the speech itself asks: at once, with the words told when they are known."""

import asyncio

import numpy as np
import pytest

from stream_service.errors import Busy, InvalidConfig
from stream_service.session.controller import Session
from stream_service.session.settings import BargeIn
from stream_service.speech.settings import SpeechSettings, check_understood
from stream_service.types import CancelReason, QuestionSource, SpeechPaused, SpeechStarted, SpeechStopped, Utterance
from tests.stream_service.fakes import sound
from tests.stream_service.session.conftest import House

UTTERANCE = Utterance(np.linspace(-0.5, 0.5, 16_000, dtype=np.float32), 2.0, 3.0)


async def watched(house: House, barge_in: BargeIn = "interrupt") -> Session:
    """A session that has heard three seconds, on a server whose model understands speech."""
    house.aloud = True
    session = await house.publish(barge_in=barge_in)
    for at in range(3):
        session.on_audio(sound(at))
    house.route()
    return session


def speak(house: House, session: Session, at: float = 3.0) -> None:
    """A turn of speech that ended at ``at``, noticed a quarter of a second later."""
    house.listener.next = [SpeechStarted(at - 0.8), SpeechPaused(at, UTTERANCE), SpeechStopped(at, 0.8, UTTERANCE)]
    session.on_audio(sound(at, 0.25))


async def settle() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


async def test_speech_is_asked_before_anyone_has_tried_to_recognise_it(house: House) -> None:
    session = await watched(house)
    house.clock.now = 300.0
    speak(house, session)
    ((question, closing),) = house.engine.asked
    assert question.speech is UTTERANCE.samples
    assert (question.text, question.source, question.at) == ("", QuestionSource.SPEECH, 3.0)
    assert [(window.start, window.end) for window in closing] == [(2.0, 3.0)], "the window it ends has its urgency"
    assert not house.recogniser.anticipated, "nobody waits for the words: the engine has the processor first"
    house.clock.now = 300.1
    house.engine.answer(question, "red")
    house.route()
    assert house.types(session)[-6:] == [
        "speech.stopped", "question.accepted", "window.fused", "answer.started", "answer.delta", "answer.done"
    ]  # fmt: skip
    await settle()
    assert house.types(session)[-1] == "question.transcribed"
    (accepted,) = house.events(session, "question.accepted")
    assert (accepted["text"], accepted["confidence"], accepted["timings_ms"]) == ("", None, {"hang_over": 250.0})
    (started,) = house.events(session, "answer.started")
    assert started["ttft_ms"] == 350.0
    (transcribed,) = house.events(session, "question.transcribed")
    assert transcribed["question"] == question.id
    assert (transcribed["text"], transcribed["at"], transcribed["confidence"]) == (
        "What colour is the circle?",
        3.0,
        0.9,
    )
    assert session.journal.summary.question == "What colour is the circle?"


async def test_until_its_words_are_known_a_question_is_spoken(house: House) -> None:
    session = await watched(house)
    speak(house, session)
    assert session.journal.summary.question == "(spoken)"
    written = session.ask("And now?")
    await settle()
    (transcribed,) = house.events(session, "question.transcribed")
    assert transcribed["question"] != written.id
    assert session.journal.summary.question == "And now?", "the words of an earlier question are not the last one's"


@pytest.mark.parametrize("failure", ["rejected", "empty", "busy"])
async def test_words_that_are_not_understood_hold_nothing_up_and_alarm_nobody(house: House, failure: str) -> None:
    session = await watched(house)
    if failure == "rejected":
        house.recogniser.rejected = "Too quiet."
    elif failure == "empty":
        house.recogniser.text = " "
    else:
        house.recogniser.error = Busy("Too many speak.", remedy="Say it again.")
    speak(house, session)
    await settle()
    assert len(house.engine.asked) == 1
    assert not house.events(session, "error", "question.transcribed")


async def test_typed_questions_are_as_ever(house: House) -> None:
    session = await watched(house)
    question = session.ask("What is this?")
    assert (question.text, question.speech) == ("What is this?", None)
    (accepted,) = house.events(session, "question.accepted")
    assert (accepted["text"], accepted["source"]) == ("What is this?", "http")


async def test_speech_interrupts_the_running_answer(house: House) -> None:
    session = await watched(house)
    first = session.ask("What is this?")
    speak(house, session)
    assert house.engine.cancelled == [(first.id, CancelReason.BARGE_IN)]
    assert len(house.engine.asked) == 2


async def test_refused_speech_is_said_and_its_window_is_fed_all_the_same(house: House) -> None:
    session = await watched(house, "refuse")
    session.ask("What is this?")
    session.on_audio(sound(3.0, 1.0))
    speak(house, session, at=4.0)
    await settle()
    assert len(house.engine.asked) == 1
    assert house.engine.fed[-1].end == 4.0
    (error,) = house.events(session, "error")
    assert error["code"] == "busy"
    assert not house.events(session, "question.transcribed")


async def test_a_recogniser_that_does_not_keep_up_loses_words_but_no_question(house: House) -> None:
    session = await watched(house)
    house.listener.next = [SpeechStopped(3.0, 0.8, UTTERANCE)] * 6
    session.on_audio(sound(3.0, 0.25))
    assert len(house.engine.asked) == 6
    await settle()
    assert len(house.events(session, "question.transcribed")) == 4
    assert not house.events(session, "error")


def test_a_model_that_does_not_understand_speech_is_named_with_the_remedy() -> None:
    aloud = SpeechSettings(question="speech")
    with pytest.raises(InvalidConfig, match="nano was never trained") as refused:
        check_understood(aloud, "nano", spoken_questions=False)
    assert refused.value.field == "speech.question"
    assert "transcript" in refused.value.remedy
    assert "Qwen2.5-Omni" in refused.value.remedy
    check_understood(aloud, "Qwen2.5-Omni-7B", spoken_questions=True)
    check_understood(SpeechSettings(), "nano", spoken_questions=False)
    check_understood(SpeechSettings(question="speech", mode="off"), "nano", spoken_questions=False)
