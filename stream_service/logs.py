"""Log lines: for people or as JSON, with the ids of session and question, and without a secret in either.

A logger adds ids by ``extra={"session": …, "question": …}``. What is asked, answered, seen and heard is never logged.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal

LogFormat = Literal["text", "json"]
_TALKATIVE = ("uvicorn.error", "websockets", "aiortc.rtcpeerconnection")
"""Loggers that tell at debug what was sent: answers in words, ICE passwords."""
_CHILD = "OMNIDROP_LOG"
_IDS = ("session", "question", "client")
# uvicorn 0.54 says so, as an error, of every WebSocket that was refused with an answer.
_NO_ERROR = "ASGI callable returned without completing handshake."
# Credentials as they stand in addresses and headers; libraries log both (uvicorn at info, websockets at debug).
_SECRETS = re.compile(
    r"((?:ticket|token|password|credential)=['\"]?|ice-pwd:|bearer |basic )[^\s&'\"]+|(://[^\s/:@]+:)[^\s/@]+(?=@)",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """``text`` without tickets, tokens and passwords."""
    return _SECRETS.sub(lambda found: f"{found[1] or found[2]}***", text)


class TextFormatter(logging.Formatter):
    """``LEVEL logger: message [session=…]``; a time of day is the supervisor's to add.

    A message stays in its line, whatever a client put into it.
    """

    def format(self, record: logging.LogRecord) -> str:
        ids = " ".join(f"{name}={value}" for name, value in _ids(record).items())
        said = "".join(one if one.isprintable() else repr(one)[1:-1] for one in record.getMessage())
        line = f"{record.levelname} {record.name}: {said}{f' [{ids}]' if ids else ''}"
        return redact("\n".join([line, *_traceback(self, record)]))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, message, the ids, and error (a traceback)."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
            **_ids(record),
        }
        for error in _traceback(self, record):
            line["error"] = redact(error)
        return json.dumps(line, ensure_ascii=False)


def configure(level: str, style: LogFormat) -> None:
    """Log to standard error from ``level`` on (a name such as "info"), in place of what was configured before."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.INFO, logging.getLevelName(level.upper())))
    logging.getLogger("uvicorn.error").addFilter(_is_told)


def for_child() -> dict[str, str]:
    """Environment by which a child process that calls :func:`inherit` logs as this one does."""
    root = logging.getLogger()
    style = "json" if any(isinstance(one.formatter, JsonFormatter) for one in root.handlers) else "text"
    return {_CHILD: f"{logging.getLevelName(root.level)} {style}"}


def inherit() -> None:
    """Log as the parent does, and what ends this process by mistake as well: a traceback is one line, too."""
    level, _, style = os.environ.get(_CHILD, "WARNING text").partition(" ")
    configure(level, "json" if style == "json" else "text")

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        logging.getLogger("stream_service").critical("the process ends: %r", error, exc_info=(kind, error, trace))

    sys.excepthook = tell


def _is_told(record: logging.LogRecord) -> bool:
    return record.msg != _NO_ERROR


def _ids(record: logging.LogRecord) -> dict[str, str]:
    return {name: str(value) for name in _IDS if (value := getattr(record, name, None)) is not None}


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    return [formatter.formatException(record.exc_info)] if record.exc_info and record.exc_info[0] else []
