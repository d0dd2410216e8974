"""What became of one question, read from a session's events. Pure."""

from __future__ import annotations

import asyncio

from clients.python.errors import NoAnswer
from clients.python.subscription import Event

_NOT_UNDERSTOOD = "speech_not_understood"


class Conversation:
    """Push every event; it notices the fate of the question that is expected.

    Args:
        spoken_at: media second at which the question is spoken; None when its id comes by :meth:`expect`.
    """

    def __init__(self, spoken_at: float | None = None) -> None:
        self.question: str | None = None
        self.over = asyncio.Event()
        """Set once the question is answered."""
        self._spoken_at = spoken_at
        self._answers: set[str] = set()

    @property
    def answered(self) -> bool:
        return self.over.is_set()

    def expect(self, question: str) -> None:
        """The question's id, which the server may have answered already."""
        self.question = question
        self._check()

    def push(self, event: Event) -> None:
        """Raises :class:`NoAnswer` when the event means that there will be none."""
        match event["type"]:
            case "question.accepted" if self._is_ours(event) and event["source"] == "speech":
                self.question = event["question"]
            case "speech.stopped" if self._is_ours(event) and event.get("dropped"):
                raise NoAnswer("The spoken question was not taken.", remedy=event["dropped"])
            case "error" if self._is_ours(event) and event["code"] == _NOT_UNDERSTOOD:
                raise NoAnswer(event["message"], remedy=event["remedy"])
            case "answer.done":
                self._answers.add(event["question"])
                self._check()
            case "answer.cancelled" if event["question"] == self.question:
                raise NoAnswer(f"The answer was cancelled: {event['reason']}.", remedy="Ask again.")
            case "error" if event.get("question") is not None and event["question"] == self.question:
                raise NoAnswer(event["message"], remedy=event["remedy"])
            case "session.closed" if not self.answered and (self.question or self._spoken_at is not None):
                raise NoAnswer("The session was closed before the answer came.", remedy="Publish and ask again.")
            case _:
                pass

    def _is_ours(self, event: Event) -> bool:
        """Whether an event about speech can be about the spoken question, which is still open."""
        return self._spoken_at is not None and self.question is None and event["at"] >= self._spoken_at

    def _check(self) -> None:
        if self.question in self._answers:
            self.over.set()
