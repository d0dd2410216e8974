"""Units of work that the scheduler orders and the loop runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from stream_service.engine.degradation import Step
from stream_service.types import Question, Window

if TYPE_CHECKING:
    from pruner import EncodedWindow


class Kind(StrEnum):
    DECODE = "decode"
    ASK = "ask"
    WINDOWS = "windows"


@dataclass(slots=True, eq=False)
class WindowWork:
    """One window on its way into a session's store."""

    window: Window
    arrived: float
    deadline: float = 0.0
    encoded: EncodedWindow | None = None
    encode_ms: float = 0.0
    after_gap: bool = False
    """A window before it was dropped: it cannot continue the segment."""

    @property
    def session(self) -> str:
        return self.window.session


@dataclass(slots=True, eq=False)
class QuestionWork:
    """One question, from its arrival in the gateway (``asked``, monotonic seconds) to its end."""

    question: Question
    asked: float
    expires: float
    encode_ms: float = 0.0
    """Spent so far on the windows before it, and below: fusing them."""
    fuse_ms: float = 0.0

    @property
    def session(self) -> str:
        return self.question.session


@dataclass(frozen=True, slots=True)
class Batch:
    """Work of one kind, run without interruption, so kept small.

    Attributes:
        at: when it was made, monotonic seconds.
        step: the degradation in force.
        sessions: the running answers of a decode step.
        windows: at most one of a session.
        questions: to be guided once ``windows`` are fused.
        asking: ``questions``, and those that have more windows before them still.
    """

    kind: Kind
    at: float
    step: Step
    sessions: tuple[str, ...] = ()
    windows: tuple[WindowWork, ...] = ()
    questions: tuple[QuestionWork, ...] = ()
    asking: tuple[QuestionWork, ...] = ()
