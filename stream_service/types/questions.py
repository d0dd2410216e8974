"""A question, however it was asked, and why one may end without an answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from stream_service.types.media import Samples


class QuestionSource(StrEnum):
    SPEECH = "speech"
    HTTP = "http"
    MQTT = "mqtt"


@dataclass(frozen=True, slots=True)
class Question:
    """A question about the stream as it was at ``at`` (the end of speech, or the moment of asking).

    One that is asked by its ``speech``, the whole utterance of at most 32 s, has no ``text``.
    """

    id: str
    session: str
    text: str
    source: QuestionSource
    at: float
    confidence: float | None = None
    speech: Samples | None = field(default=None, repr=False, compare=False)


class SessionEnd(StrEnum):
    """Why a session was closed."""

    CLIENT = "client"
    SOURCE_ENDED = "source_ended"
    SOURCE_LOST = "source_lost"
    IDLE = "idle"
    NOT_NEGOTIATED = "not_negotiated"
    NOT_RESUMED = "not_resumed"
    SHUTDOWN = "shutdown"
    INTERNAL = "internal"


class CancelReason(StrEnum):
    BARGE_IN = "barge-in"
    CLIENT = "client"
    TIMEOUT = "timeout"
    ENGINE_LOST = "engine lost"
    SERVER_LOST = "server lost"
    SHUTDOWN = "shutdown"
    SESSION_CLOSED = "session closed"
