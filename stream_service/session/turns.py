"""The open questions of a session, and what a new one does to them. Pure: no engine, no events, no clock."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from stream_service.errors import Busy
from stream_service.session.settings import BargeIn


@dataclass(slots=True)
class Turn:
    """An accepted question that has not ended. ``asked`` is on the server's monotonic clock, in seconds."""

    question: str
    asked: float
    timings_ms: dict[str, float] = field(default_factory=dict)
    text: str = ""
    interrupted: bool = False


class Turns:
    """At most one answer runs; further questions interrupt, wait (up to ``waiting``) or are refused."""

    def __init__(self, policy: BargeIn, waiting: int) -> None:
        self._policy = policy
        self._waiting = waiting
        self._open: dict[str, Turn] = {}
        self._accepted = 0

    def __len__(self) -> int:
        return len(self._open)

    def open(self) -> list[Turn]:
        """Oldest first."""
        return list(self._open.values())

    def admit(self) -> list[str]:
        """Make room for one more question: the questions it interrupts. Raises Busy where the policy says so."""
        standing = [turn for turn in self._open.values() if not turn.interrupted]
        if not standing:
            return []
        if self._policy == "interrupt":
            for turn in standing:
                turn.interrupted = True
            return [turn.question for turn in standing]
        if self._policy == "refuse":
            raise Busy(
                "An answer is running.",
                remedy="Wait for answer.done, or cancel the question with DELETE.",
                retry_after=1.0,
            )
        if len(standing) > self._waiting:
            raise Busy(
                f"{self._waiting} questions are waiting already.", remedy="Wait for answer.done.", retry_after=2.0
            )
        return []

    def begin(self, asked: float, timings_ms: dict[str, float]) -> Turn:
        """A new turn; its id is unique among all sessions."""
        self._accepted += 1
        turn = Turn(f"q{self._accepted}-{secrets.token_hex(4)}", asked, timings_ms)
        self._open[turn.question] = turn
        return turn

    def find(self, question: str) -> Turn | None:
        return self._open.get(question)

    def end(self, question: str) -> Turn | None:
        """The turn is over; None when it was not open."""
        return self._open.pop(question, None)
