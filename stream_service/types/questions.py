"""A question, however it was asked, and why one may end without an answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class QuestionSource(StrEnum):
    SPEECH = "speech"
    HTTP = "http"
    MQTT = "mqtt"


@dataclass(frozen=True, slots=True)
class Question:
    """A question about the stream as it was at ``at`` (the end of speech, or the moment of asking)."""

    id: str
    session: str
    text: str
    source: QuestionSource
    at: float
    confidence: float | None = None


class CancelReason(StrEnum):
    BARGE_IN = "barge-in"
    CLIENT = "client"
    TIMEOUT = "timeout"
    ENGINE_LOST = "engine lost"
    SERVER_LOST = "server lost"
    SHUTDOWN = "shutdown"
    SESSION_CLOSED = "session closed"
