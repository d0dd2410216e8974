"""Log lines: complete, one a line, and without secrets."""

import json
import logging
import sys

import pytest

from stream_service.logs import JsonFormatter, TextFormatter, redact


def record(message: str, *arguments: object, **ids: str) -> logging.LogRecord:
    made = logging.LogRecord("stream_service.x", logging.WARNING, "x.py", 1, message, arguments, None)
    made.__dict__.update(ids)
    return made


def failed() -> logging.LogRecord:
    made = record("it failed", session="s1")
    try:
        raise ValueError("no route to /v1/x?ticket=abc")
    except ValueError:
        made.exc_info = sys.exc_info()
    return made


def test_a_json_line_carries_the_ids() -> None:
    line = JsonFormatter().format(record("answered in %d ms", 40, session="s1", question="q1"))
    told = json.loads(line)
    assert "\n" not in line
    assert told.pop("time").endswith("+00:00")
    assert told == {
        "level": "warning",
        "logger": "stream_service.x",
        "message": "answered in 40 ms",
        "session": "s1",
        "question": "q1",
    }


def test_a_traceback_stays_in_its_line() -> None:
    line = JsonFormatter().format(failed())
    assert "\n" not in line
    assert "ValueError" in json.loads(line)["error"]
    assert "ticket=***" in json.loads(line)["error"]


def test_a_text_line_is_for_people() -> None:
    assert TextFormatter().format(record("slow", session="s1")) == "WARNING stream_service.x: slow [session=s1]"
    assert TextFormatter().format(failed()).splitlines()[-1] == "ValueError: no route to /v1/x?ticket=***"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("< GET /v1/sessions/a/answers?after=3&ticket=SECRET HTTP/1.1", "answers?after=3&ticket=*** HTTP"),
        ("< Authorization: Bearer SECRET", "Authorization: Bearer ***"),
        ("authorization: basic SECRET", "basic ***"),
        ("open https://192.0.2.2:8080/#token=SECRET now", "#token=*** now"),
        ("postgresql+asyncpg://me:SECRET@db/omnidrop", "://me:***@db/omnidrop"),
        ("turn password='SECRET' refused", "password='***' refused"),
    ],
)
def test_secrets_are_left_out(said: str, told: str) -> None:
    assert told in redact(said)
    assert "SECRET" not in redact(said)


def test_what_is_no_secret_stays() -> None:
    line = "generated 12 tokens of http://127.0.0.1:8080/v1/sessions?after=3 in a ticket office"
    assert redact(line) == line
