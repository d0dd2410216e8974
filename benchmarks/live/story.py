"""What became of an episode, read from the session's events. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

Event = dict[str, Any]
_WINDOW_S = 2.0
_EARLY_S = 0.5
"""How much sooner than it was spoken the server may date a question (its clock begins at the first packet)."""


@dataclass
class Story:
    """Push every event with the moment at which it came.

    Args:
        asked_at: media second at which the question is spoken.

    Attributes:
        text, answer: what was recognised and replied; None until then.
        ended: set to a reason once the question will not be answered any more, or is.
        first_text: `time.time()` of the first words of the answer.
        timings_ms: of the answer's parts, as the server tells them.
        server_ttft_ms: last voiced sample to first text by the server's reckoning.
        unasked: questions that were accepted before ours was spoken.
        windows_lost: windows that were dropped, skipped, or lost by the engine.
    """

    asked_at: float
    text: str | None = None
    answer: str | None = None
    ended: str | None = None
    first_text: float | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)
    server_ttft_ms: float | None = None
    unasked: int = 0
    windows_lost: int = 0
    windows: int = 0
    retention: float | None = None
    _question: str | None = None
    _last_end: float | None = None

    def push(self, event: Event, now: float) -> None:
        """Take an event; `now` is `time.time()`."""
        match event["type"]:
            case "window.fused":
                self._window(event)
            case "overload" if event["action"] == "windows":
                self.windows_lost += event["windows"]
            case "engine.restarted":
                self.windows_lost += event["windows_lost"]
            case "question.accepted" if event["source"] == "speech":
                self._accepted(event)
            case "answer.started" if event["question"] == self._question:
                self.server_ttft_ms = event["ttft_ms"]
            case "answer.delta" if event["question"] == self._question and self.first_text is None:
                self.first_text = now
            case "answer.done" if event["question"] == self._question:
                self.answer, self.timings_ms, self.ended = event["text"], event["timings_ms"], "answered"
                self.retention = event["retention"]
            case "answer.cancelled" if event["question"] == self._question:
                self.ended = f"cancelled: {event['reason']}"
            case "speech.stopped" if event["dropped"] and self._is_ours(event):
                self.ended = f"not taken: {event['dropped']}"
            case "error" if event["question"] == self._question if self._question else self._is_ours(event):
                self.ended = f"{event['code']}: {event['message']}"
            case "session.closed" if self.ended is None:
                self.ended = f"session closed: {event['reason']}"

    @property
    def parts_ms(self) -> dict[str, float]:
        """Last voiced sample to first text by the server's reckoning, in the order in which time is spent."""
        if self.server_ttft_ms is None:
            return {}
        names = ("hang_over", "transcribe", "queue", "encode", "fuse", "guide")
        parts = {name: self.timings_ms.get(name, 0.0) for name in names}
        return parts | {"first_step": self.server_ttft_ms - sum(parts.values())}

    def _window(self, event: Event) -> None:
        self.windows += 1
        if self._last_end is not None:
            self.windows_lost += round(max(0.0, event["start"] - self._last_end) / _WINDOW_S)
        self._last_end = event["end"]

    def _accepted(self, event: Event) -> None:
        if not self._is_ours(event):
            self.unasked += 1
        elif self._question is None:
            self._question, self.text = event["question"], event["text"]

    def _is_ours(self, event: Event) -> bool:
        return bool(event["at"] >= self.asked_at - _EARLY_S)


def words(text: str) -> list[str]:
    """The words of a text, without case, punctuation, and the difference between spellings of English."""
    return re.findall(r"[a-z0-9']+", text.lower().replace("color", "colour").replace("’", "'"))
