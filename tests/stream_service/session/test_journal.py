"""A session's events as log lines."""

import logging

import pytest

from stream_service.answers import events
from stream_service.answers.fanout import Fanouts
from stream_service.answers.log import MemoryLogs, Opening
from stream_service.session.journal import Journal
from tests.stream_service.fakes import wall


def test_events_are_logged_with_their_ids_but_not_their_words(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    seen: list[events.Envelope] = []
    journal = Journal("s1", Fanouts(MemoryLogs(64, 1), 8).open(Opening("s1")), lambda: 1.0, wall, seen.append)
    journal.write(events.AnswerDelta, question="q1", text="a red circle")
    journal.write(events.AnswerCancelled, question="q1", reason="timeout", text="a red circle")
    (line,) = caplog.records
    assert (line.getMessage(), line.__dict__["session"], line.__dict__["question"]) == ("answer.cancelled", "s1", "q1")
    assert "circle" not in caplog.text
    assert [event.seq for event in seen] == [1, 2]
