"""The one interface between the service and whatever runs the model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from stream_service.types import (
    CancelReason,
    EngineEvent,
    EngineInfo,
    EngineStats,
    Question,
    SessionSettings,
    Window,
)


class EngineClient(Protocol):
    """What the service needs of an engine. Every question that is asked ends exactly once, in an
    :class:`AnswerDone`, an :class:`AnswerCancelled`, or an :class:`EngineFault` that names it."""

    @property
    def ready(self) -> bool:
        """Whether it can take sessions and questions now; False while it is being restarted."""
        ...

    async def start(self) -> EngineInfo:
        """Raises StartupError or InvalidConfig when the engine cannot serve as configured."""
        ...

    async def open(self, session: str, settings: SessionSettings) -> None:
        """Raises ServerFull, InvalidInput, Conflict, EngineUnavailable."""
        ...

    def feed(self, window: Window) -> None:
        """Hands over a window. Never blocks: what does not fit is dropped, with an :class:`Overloaded` event."""
        ...

    def ask(self, question: Question, closing: Sequence[Window]) -> None:
        """Asks about everything fed so far and the ``closing`` windows, which get the question's priority."""
        ...

    def cancel(self, session: str, question: str, reason: CancelReason) -> None:
        """Ends a question early; no effect on one that has ended."""
        ...

    async def close(self, session: str) -> None:
        """Ends the session's questions and frees its memory; no effect on an unknown session."""
        ...

    async def stats(self) -> EngineStats: ...

    async def stop(self, *, drain_s: float) -> None:
        """Lets running answers finish for at most ``drain_s`` seconds, then ends the engine and :meth:`events`."""
        ...

    def events(self) -> AsyncIterator[EngineEvent]:
        """Events of all sessions, for one consumer."""
        ...
