from typing import Any

import pytest

from clients.python.conversation import Conversation
from clients.python.errors import NoAnswer


def event(kind: str, at: float = 10.0, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "at": at, "seq": 1, "session": "s", "wall": "2026-01-01T00:00:00Z", **fields}


def test_a_typed_question_is_answered_by_its_own_answer() -> None:
    conversation = Conversation()
    conversation.push(event("answer.done", question="other"))
    conversation.expect("mine")
    assert not conversation.answered
    conversation.push(event("answer.done", question="mine"))
    assert conversation.answered


def test_an_answer_may_come_before_its_question_is_known() -> None:
    conversation = Conversation()
    conversation.push(event("answer.done", question="mine"))
    conversation.expect("mine")
    assert conversation.answered


def test_a_spoken_question_is_the_first_one_accepted_after_it_was_spoken() -> None:
    conversation = Conversation(spoken_at=5)
    conversation.push(event("question.accepted", at=3, question="a", source="speech"))
    conversation.push(event("question.accepted", at=6, question="b", source="http"))
    conversation.push(event("question.accepted", at=7, question="c", source="speech"))
    assert conversation.question == "c"


@pytest.mark.parametrize(
    "fate",
    [
        event("speech.stopped", dropped="too quiet"),
        event("error", code="speech_not_understood", message="m", remedy="r", question=None),
        event("session.closed", reason="shutdown"),
    ],
)
def test_what_means_no_answer_to_a_spoken_question_raises(fate: dict[str, Any]) -> None:
    with pytest.raises(NoAnswer) as refusal:
        Conversation(spoken_at=5).push(fate)
    assert refusal.value.remedy


@pytest.mark.parametrize(
    "fate",
    [
        event("answer.cancelled", question="mine", reason="timeout", text=""),
        event("error", code="engine", message="m", remedy="r", question="mine"),
        event("session.closed", reason="shutdown"),
    ],
)
def test_what_means_no_answer_to_a_known_question_raises(fate: dict[str, Any]) -> None:
    conversation = Conversation()
    conversation.expect("mine")
    with pytest.raises(NoAnswer):
        conversation.push(fate)


@pytest.mark.parametrize(
    "noise",
    [
        event("speech.stopped", at=2, dropped="a sound before the question"),
        event("speech.stopped", dropped=None),
        event("answer.cancelled", question="other", reason="client", text=""),
        event("error", code="overload", message="m", remedy="r"),
        event("window.fused"),
    ],
)
def test_what_concerns_others_is_passed_over(noise: dict[str, Any]) -> None:
    conversation = Conversation(spoken_at=5)
    conversation.push(noise)
    assert not conversation.answered


def test_without_a_question_the_end_of_the_session_is_no_failure() -> None:
    Conversation().push(event("session.closed", reason="the source ended"))
