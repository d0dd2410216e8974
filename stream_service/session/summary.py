"""A session in a few figures, kept up to date from its own events: for the administrator's page."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from stream_service.answers import events

_SPOKEN = "(spoken)"
"""Stands for the words of a spoken question until they are known."""


@dataclass(slots=True)
class Summary:
    """``fused_to`` is the stream time (s) up to which media are in the memory; ``ttft_ms`` that of the last answer."""

    started: datetime | None = None
    fused_to: float = 0.0
    store_tokens: int = 0
    coverage: float = 1.0
    question: str | None = None
    answer: str | None = None
    ttft_ms: float | None = None
    reconnects: int = 0
    errors: int = 0
    last_error: str | None = None
    _asked: str | None = field(default=None, init=False)

    def note(self, event: events.Envelope) -> None:
        """Take an event in."""
        match event:
            case events.SessionStarted():
                self.started = event.wall
            case events.SessionChanged():
                self.store_tokens, self.coverage = event.store_tokens, event.coverage
            case events.WindowFused():
                self.fused_to = max(self.fused_to, event.end)
                self.store_tokens, self.coverage = event.store_tokens, event.coverage
            case events.QuestionAccepted():
                self._asked = event.question
                self.question, self.answer, self.ttft_ms = event.text or _SPOKEN, None, None
            case events.QuestionTranscribed() if event.question == self._asked:
                self.question = event.text
            case events.AnswerStarted():
                self.ttft_ms = event.ttft_ms
            case events.AnswerDone() | events.AnswerCancelled():
                self.answer = event.text
            case events.SourceBack():
                self.reconnects += 1
            case events.Error():
                self.errors += 1
                self.last_error = event.code
            case _:
                pass
