"""What the engine holds for one session: its conversation, its turn options and the answer that is running."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from stream_service.engine.work import QuestionWork

if TYPE_CHECKING:
    from pruner import Conversation, Turn, TurnOptions


class SessionState(Enum):
    LISTENING = "listening"
    ANSWERING = "answering"
    CLOSED = "closed"


_NEXT = {
    SessionState.LISTENING: {SessionState.ANSWERING, SessionState.CLOSED},
    SessionState.ANSWERING: {SessionState.LISTENING, SessionState.CLOSED},
    SessionState.CLOSED: set[SessionState](),
}


@dataclass(slots=True, eq=False)
class Answer:
    """One running answer. Times are monotonic seconds, ``timings_ms`` names the parts of its latency."""

    work: QuestionWork
    turn: Turn
    timings_ms: dict[str, float]
    decode_from: float
    started: bool = False
    tokens: int = 0
    published: int = 0
    """Tokens whose text has been sent: what a cancelled answer leaves in the conversation."""
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.parts)

    def add(self, text: str) -> None:
        """Takes note of one more token; ``text`` is empty while a character is incomplete."""
        self.tokens += 1
        if text:
            self.parts.append(text)
            self.published = self.tokens


class Session:
    """One session, from open to close. Every change of state is checked."""

    def __init__(self, name: str, conversation: Conversation, options: TurnOptions) -> None:
        self.name = name
        self.conversation = conversation
        self.options = options
        self._state = SessionState.LISTENING
        self._answer: Answer | None = None

    @property
    def state(self) -> SessionState:
        return self._state

    @property
    def answer(self) -> Answer | None:
        """The running answer; None unless answering."""
        return self._answer

    def begin(self, answer: Answer) -> None:
        self._move(SessionState.ANSWERING)
        self._answer = answer

    def end(self) -> None:
        """The running answer is over (its turn committed by the caller)."""
        self._move(SessionState.LISTENING)
        self._answer = None

    def close(self) -> None:
        """Frees the conversation's memory."""
        self._move(SessionState.CLOSED)
        self._answer = None
        self.conversation.close()

    def _move(self, to: SessionState) -> None:
        if to not in _NEXT[self._state]:
            raise RuntimeError(f"session {self.name}: {self._state.value} cannot become {to.value}")
        self._state = to
