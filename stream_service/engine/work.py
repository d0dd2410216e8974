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

    @property
    def session(self) -> str:
        return self.question.session


@dataclass(frozen=True, slots=True)
class Batch:
    """Work of one kind, run without interruption. ``sessions`` are the running answers of a decode step.

    ``windows`` keeps each session's order; a session appears there once, except in an ask batch.
    """

    kind: Kind
    at: float
    step: Step
    sessions: tuple[str, ...] = ()
    windows: tuple[WindowWork, ...] = ()
    questions: tuple[QuestionWork, ...] = ()
