"""A session's lifecycle and what an answer counts as published."""

from __future__ import annotations

from typing import Any

import pytest

from pruner import TurnOptions
from stream_service.engine.sessions import Answer, Session, SessionState
from stream_service.engine.work import QuestionWork
from tests.stream_service.engine.builders import question
from tests.stream_service.engine.fakes import FakeConversation


def make() -> tuple[Session, FakeConversation]:
    conversation: Any = FakeConversation(64)
    return Session("a", conversation, TurnOptions()), conversation


def answer() -> Answer:
    turn: Any = None
    return Answer(QuestionWork(question(), 0.0, 30.0), turn, {}, decode_from=0.0)


def test_a_session_answers_one_question_at_a_time() -> None:
    session, _ = make()
    running = answer()
    session.begin(running)
    assert (session.state, session.answer) == (SessionState.ANSWERING, running)
    with pytest.raises(RuntimeError, match="answering cannot become answering"):
        session.begin(answer())
    session.end()
    assert (session.state, session.answer) == (SessionState.LISTENING, None)
    with pytest.raises(RuntimeError, match="listening cannot become listening"):
        session.end()


def test_a_closed_session_stays_closed() -> None:
    session, conversation = make()
    session.begin(answer())
    session.close()
    assert conversation.closed
    for step in (session.close, session.end, lambda: session.begin(answer())):
        with pytest.raises(RuntimeError, match="closed cannot become"):
            step()


def test_what_is_published_ends_with_a_whole_character() -> None:
    running = answer()
    for text in ("one ", "", "é", ""):
        running.add(text)
    assert (running.tokens, running.published, running.text) == (4, 3, "one é")
