"""The engine loop on a model that answers by rote: order, ends, publication, faults."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest

from pruner import TurnOptions
from stream_service.engine.loop import EngineLoop
from stream_service.engine.settings import EngineSettings
from stream_service.errors import Conflict, InvalidInput, ServerFull
from stream_service.types import (
    AnswerCancelled,
    AnswerDelta,
    AnswerDone,
    AnswerStarted,
    CancelReason,
    EngineEvent,
    EngineFault,
    Overloaded,
    SessionSettings,
    WindowFused,
)
from tests.stream_service.engine.builders import Clock, question, spoken, window
from tests.stream_service.engine.fakes import FakeConversation, FakeModel

E = TypeVar("E", bound=EngineEvent)


class Rig:
    def __init__(self, sessions: str = "a", words: tuple[str, ...] = ("a ", "b ", "c"), **settings: object) -> None:
        self.clock = Clock()
        self.model = FakeModel(self.clock, words)
        model: Any = self.model
        options = TurnOptions(
            deep_share=0.3, schedule="constant", score="running_max", diversity_weight=0.0, max_tokens=16
        )
        self.free = 1 << 30
        self.engine = EngineLoop(model, EngineSettings.model_validate(settings), options, self.clock, lambda: self.free)
        self.events: list[EngineEvent] = []
        for session in sessions:
            self.engine.open(session, SessionSettings())

    def settle(self, batches: int = 1000) -> None:
        for _ in range(batches):
            if not self.engine.run_once():
                break
        self.events += self.engine.take_events()

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def conversation(self, number: int = 0) -> FakeConversation:
        return self.model.conversations[number]


def test_a_question_sees_its_windows_and_streams_its_answer() -> None:
    rig = Rig()
    rig.engine.feed(window(index=0, media=True))
    rig.engine.ask(question(text="what?"), [window(index=1, seconds=1, media=True)], asked=rig.clock() - 0.1)
    rig.settle()
    assert rig.conversation().history == ["w0", "w2", "?what?", "!a b c"]
    assert [event.index for event in rig.of(WindowFused)] == [0, 1]
    assert [event.text for event in rig.of(AnswerDelta)] == ["a ", "b ", "c"]
    (done,) = rig.of(AnswerDone)
    assert done.text == "a b c"
    assert done.finish_reason == "stop"
    assert done.generated == 3
    assert done.tokens_per_layer == (122, 16)
    assert done.survivors[0].video == (72, 9)


def test_speech_asks_in_the_place_of_words() -> None:
    rig = Rig()
    rig.engine.ask(spoken(seconds=1.5), [window(media=True)], asked=rig.clock())
    rig.settle()
    assert rig.conversation().history == ["w0", "?24000 samples", "!a b c"]


def test_the_timings_add_up_from_the_gateway_on() -> None:
    rig = Rig()
    rig.engine.ask(question(), [window(media=True)], asked=rig.clock() - 0.1)
    rig.settle()
    (started,) = rig.of(AnswerStarted)
    assert started.ttft_ms == pytest.approx(100 + 10 + 10 + 20 + 5)
    (done,) = rig.of(AnswerDone)
    parts = {"queue": 100, "encode": 10, "fuse": 10, "guide": 20, "decode": 20}
    assert done.timings_ms == pytest.approx(parts | {"total": sum(parts.values())})


def test_the_timings_add_up_over_a_backlog_and_other_answers() -> None:
    rig = Rig("ab")
    rig.engine.ask(question("qb", "b"), [], rig.clock())
    rig.settle(1)
    rig.engine.ask(question("qa"), [window(index=index, media=True) for index in range(3)], rig.clock())
    rig.settle()
    done = next(event for event in rig.of(AnswerDone) if event.question == "qa")
    parts = {part: ms for part, ms in done.timings_ms.items() if part != "total"}
    assert sum(parts.values()) == pytest.approx(done.timings_ms["total"])
    assert [parts["encode"], parts["fuse"]] == pytest.approx([30, 30])
    assert parts["queue"] == pytest.approx(3 * 5)  # a token of the other answer before each window
    waits = [event.wait_ms for event in rig.of(WindowFused)]
    assert waits == pytest.approx([5, 2 * 5 + 20, 3 * 5 + 2 * 20]), "for tokens, and for the windows before it"


def test_events_come_in_order() -> None:
    rig = Rig()
    rig.engine.ask(question(), [window(media=True)], rig.clock())
    rig.settle()
    kinds = [type(event) for event in rig.events]
    assert kinds == [WindowFused, AnswerStarted, AnswerDelta, AnswerDelta, AnswerDelta, AnswerDone]


def test_a_question_before_the_first_window() -> None:
    rig = Rig()
    rig.engine.ask(question(), [], rig.clock())
    rig.settle()
    assert rig.conversation().history == ["?what?", "!a b c"]


def test_a_window_during_the_answer_is_fused_after_it() -> None:
    rig = Rig()
    rig.engine.ask(question(), [], rig.clock())
    rig.settle(2)
    rig.engine.feed(window(media=True))
    rig.clock.advance(3)
    rig.settle()
    assert rig.conversation().history == ["?what?", "!a b c", "w0"]
    calls = [call for call, _ in rig.model.calls]
    assert calls.index("encode") < len(calls) - 1 - calls[::-1].index("step")


def test_sessions_are_batched() -> None:
    rig = Rig("abc")
    for session in "abc":
        rig.engine.ask(question(session, session), [window(session, media=True)], rig.clock())
    rig.settle()
    assert rig.model.calls[:4] == [("encode", 3), ("fuse", 3), ("guide", 3), ("step", 3)]
    assert len(rig.of(AnswerDone)) == 3


def test_barge_in_keeps_what_was_published() -> None:
    rig = Rig(words=("one ", "", "two ", "three"))
    rig.engine.ask(question(), [], rig.clock())
    rig.settle(1 + 3)
    rig.engine.cancel("a", "q", CancelReason.BARGE_IN)
    rig.settle()
    (cancelled,) = rig.of(AnswerCancelled)
    assert (cancelled.reason, cancelled.published) == (CancelReason.BARGE_IN, "one two ")
    assert rig.conversation().history == ["?what?", "!one two "]
    assert not rig.of(AnswerDone)


def test_an_incomplete_character_is_not_published() -> None:
    rig = Rig(words=("one ", "", "é"))
    rig.engine.ask(question(), [], rig.clock())
    rig.settle(1 + 2)
    rig.engine.cancel("a", "q", CancelReason.BARGE_IN)
    assert rig.conversation().history == ["?what?", "!one "]


def test_barge_in_before_the_first_word_takes_the_question_back() -> None:
    rig = Rig()
    rig.engine.ask(question(), [window(media=True)], rig.clock())
    rig.settle(1)
    rig.engine.cancel("a", "q", CancelReason.BARGE_IN)
    rig.settle()
    assert rig.conversation().history == ["w0"]
    (cancelled,) = rig.of(AnswerCancelled)
    assert cancelled.published == ""


def test_cancel_while_waiting_and_after_the_end() -> None:
    rig = Rig()
    rig.engine.ask(question("q1"), [], rig.clock())
    rig.engine.ask(question("q2"), [], rig.clock())
    rig.engine.cancel("a", "q2", CancelReason.CLIENT)
    rig.settle()
    rig.engine.cancel("a", "q1", CancelReason.CLIENT)
    rig.engine.cancel("nobody", "q1", CancelReason.CLIENT)
    rig.settle()
    assert [event.question for event in rig.of(AnswerCancelled)] == ["q2"]
    assert [event.question for event in rig.of(AnswerDone)] == ["q1"]


def test_an_answer_is_bounded_in_tokens() -> None:
    rig = Rig(words=("w ",) * 100)
    rig.engine.open("b", SessionSettings(max_answer_tokens=5))
    rig.engine.ask(question(session="b"), [], rig.clock())
    rig.settle()
    (done,) = rig.of(AnswerDone)
    assert (done.finish_reason, done.generated) == ("length", 5)


def test_an_answer_is_bounded_in_time_and_so_is_waiting() -> None:
    rig = Rig(words=("w ",) * 10, answer_timeout_s=1.0)
    rig.model.cost["step"] = 0.3
    rig.engine.ask(question("q1"), [], rig.clock())
    rig.engine.ask(question("q2"), [], rig.clock())
    rig.settle()
    assert [(event.question, event.reason, event.published) for event in rig.of(AnswerCancelled)] == [
        ("q1", CancelReason.TIMEOUT, "w w w w "),
        ("q2", CancelReason.TIMEOUT, ""),
    ]


def test_a_bad_window_spoils_no_other() -> None:
    rig = Rig("ab")
    rig.model.bad = {2.0}
    rig.engine.ask(question("qa", "a"), [window("a", 1, media=True)], rig.clock())
    rig.engine.ask(question("qb", "b"), [window("b", 0, media=True)], rig.clock())
    rig.settle()
    (fault,) = rig.of(EngineFault)
    assert (fault.session, fault.code, fault.question, fault.remedy) == ("a", "invalid_input", None, "Send others.")
    assert len(rig.of(AnswerDone)) == 2
    assert rig.conversation(1).history[0] == "w0"


def test_a_refused_question_ends_with_a_fault_and_the_session_goes_on() -> None:
    rig = Rig("ab")
    rig.engine.ask(question("bad", "a", text=""), [], rig.clock())
    rig.engine.ask(question("good", "b"), [], rig.clock())
    rig.engine.ask(question("next", "a"), [], rig.clock())
    rig.settle()
    assert [event.question for event in rig.of(EngineFault)] == ["bad"]
    assert {event.question for event in rig.of(AnswerDone)} == {"good", "next"}


def test_too_many_questions_and_unknown_sessions_end_too() -> None:
    rig = Rig(question_queue=1)
    rig.engine.ask(question("q1"), [], rig.clock())
    rig.engine.ask(question("q2"), [], rig.clock())
    rig.engine.ask(question("q3"), [], rig.clock())
    rig.engine.ask(question("q4", "nobody"), [], rig.clock())
    rig.settle()
    assert [(event.question, event.code) for event in rig.of(EngineFault)] == [("q3", "busy"), ("q4", "not_found")]
    assert [event.question for event in rig.of(AnswerDone)] == ["q1", "q2"]


def test_close_ends_everything_of_the_session_only() -> None:
    rig = Rig("ab")
    for name in "ab":
        rig.engine.ask(question(f"{name}1", name), [], rig.clock())
        rig.engine.ask(question(f"{name}2", name), [], rig.clock())
    rig.settle(2)
    rig.engine.close("a")
    rig.engine.close("a")
    rig.engine.feed(window("a"))
    rig.settle()
    assert [(event.question, event.reason) for event in rig.of(AnswerCancelled)] == [
        ("a1", CancelReason.SESSION_CLOSED),
        ("a2", CancelReason.SESSION_CLOSED),
    ]
    assert rig.conversation(0).closed
    assert [event.question for event in rig.of(AnswerDone)] == ["b1", "b2"]


def test_open_is_checked() -> None:
    rig = Rig(max_sessions=2)
    with pytest.raises(Conflict):
        rig.engine.open("a", SessionSettings())
    with pytest.raises(InvalidInput, match=r"0\.0100 to 1\.0000") as caught:
        rig.engine.open("b", SessionSettings(deep_share=0.001))
    assert (caught.value.field, caught.value.remedy) == ("deep_share", "Ask for deep_share between 0.010 and 1.000.")
    for wished in (SessionSettings(deep_share=7.0), SessionSettings(retention=0.0), SessionSettings(budget=5000)):
        with pytest.raises(InvalidInput):
            rig.engine.open("b", wished)
    rig.engine.open("b", SessionSettings())
    with pytest.raises(ServerFull):
        rig.engine.open("c", SessionSettings())
    rig.engine.open("c", SessionSettings(), rejoin=True)


def test_degradation_changes_what_the_encoders_get() -> None:
    rig = Rig("ab", behind_s=1, recover_s=60)
    rig.engine.feed(window("a", media=True))
    rig.settle()
    for index in (1, 2):
        rig.clock.advance(4)
        rig.engine.feed(window("a", index, media=True))
        rig.clock.advance(4)
        rig.settle()
    full, compressed, fewer = rig.model.raw
    assert full.frames is not None
    assert compressed.frames is not None
    assert fewer.frames is not None
    assert (full.compression, len(full.frames)) == (1.0, 4)
    assert (compressed.compression, len(compressed.frames)) == (0.5, 4)
    assert (fewer.compression, len(fewer.frames)) == (0.5, 2)
    assert rig.engine.stats(0).degradation == "frames"
    assert [(event.session, event.action, event.windows, event.frames) for event in rig.of(Overloaded)] == [
        ("a", "compression", 0, 0),
        ("b", "compression", 0, 0),
        ("a", "compression", 1, 0),
        ("a", "frames", 0, 0),
        ("b", "frames", 0, 0),
        ("a", "frames", 1, 2),
    ]


def test_stats() -> None:
    rig = Rig("ab")
    rig.engine.feed(window("a"))
    rig.clock.advance(1.5)
    stats = rig.engine.stats(resident_bytes=7)
    assert (stats.sessions, stats.queued_windows, stats.oldest_window_age, stats.resident_bytes) == (2, 1, 1.5, 7)
    assert stats.per_session == {"a": {"queued_windows": 1.0}, "b": {"queued_windows": 0.0}}
