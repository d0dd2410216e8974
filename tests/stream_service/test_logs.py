"""Log lines: complete, one a line, and without secrets."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from stream_service.logs import JsonFormatter, LogFormat, TextFormatter, configure, for_child, redact


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


def test_a_client_cannot_write_a_line_of_its_own() -> None:
    said = record("GET %s failed", "/v1/a\nERROR stream_service.x: stolen\x1b[2J")
    assert TextFormatter().format(said).splitlines() == [
        r"WARNING stream_service.x: GET /v1/a\nERROR stream_service.x: stolen\x1b[2J failed"
    ]
    assert "\n" not in JsonFormatter().format(said)


@pytest.fixture
def restored() -> Iterator[None]:
    """Logging as pytest left it."""
    loggers = [logging.getLogger(name) for name in (None, "uvicorn.error", "websockets", "aiortc.rtcpeerconnection")]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.mark.parametrize(("level", "talks"), [("debug", True), ("info", True), ("error", False)])
@pytest.mark.usefixtures("restored")
def test_what_is_sent_is_not_told_at_any_level(level: str, talks: bool, capsys: pytest.CaptureFixture[str]) -> None:
    configure(level, "json")
    for name in ("uvicorn.error", "websockets.server", "aiortc.rtcpeerconnection"):
        logging.getLogger(name).debug("> TEXT %s", "a red circle")
        logging.getLogger(name).info("connection open")
    logging.getLogger("stream_service").debug("for developers")
    told = capsys.readouterr().err
    assert "circle" not in told
    assert (told.count("connection open"), "for developers" in told) == (3 * talks, level == "debug")


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.usefixtures("restored")
def test_a_child_that_fails_says_so_as_its_parent_would(style: LogFormat) -> None:
    configure("info", style)
    failing = "from stream_service import logs; logs.inherit(); raise ValueError('token=SECRET')"
    child = subprocess.run(
        [sys.executable, "-c", failing], env=os.environ | for_child(), capture_output=True, text=True, check=False
    )
    assert child.returncode == 1
    assert "SECRET" not in child.stderr
    if style == "json":
        (line,) = child.stderr.splitlines()
        told = json.loads(line)
        assert (told["level"], told["message"]) == ("critical", "the process ends: ValueError('token=***')")
        assert "Traceback" in told["error"]
    else:
        assert child.stderr.startswith("CRITICAL stream_service: the process ends: ValueError(")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("< GET /v1/sessions/a/answers?after=3&ticket=SECRET HTTP/1.1", "answers?after=3&ticket=*** HTTP"),
        ("< Authorization: Bearer SECRET", "Authorization: Bearer ***"),
        ("authorization: basic SECRET", "basic ***"),
        ("open https://192.0.2.2:8080/#token=SECRET now", "#token=*** now"),
        ("postgresql+asyncpg://me:SECRET@db/omnidrop", "://me:***@db/omnidrop"),
        ("turn password='SECRET' refused", "password='***' refused"),
        ("a=ice-ufrag:me\r\na=ice-pwd:SECRET\r\na=mid:0", "a=ice-pwd:***\r\na=mid:0"),
    ],
)
def test_secrets_are_left_out(said: str, told: str) -> None:
    assert told in redact(said)
    assert "SECRET" not in redact(said)


def test_what_is_no_secret_stays() -> None:
    line = "generated 12 tokens of http://127.0.0.1:8080/v1/sessions?after=3 in a ticket office"
    assert redact(line) == line
