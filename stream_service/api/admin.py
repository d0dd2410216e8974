"""What an administrator sees: every session, how far behind it is, what it holds, and its last answer."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import AwareDatetime, Field

from stream_service.answers.events import Wire
from stream_service.api.gateway import Gateway, gateway_of
from stream_service.api.guard import GuardedRoute, needs
from stream_service.api.tokens import Scope
from stream_service.session.controller import Session

router = APIRouter(prefix="/v1/admin", tags=["Admin"], dependencies=[needs(Scope.ADMIN)], route_class=GuardedRoute)


class SessionReport(Wire):
    """One session, in an administrator's eyes."""

    session: str = Field(description="Its id.")
    name: str | None = Field(description="Its stable name, if it has one.")
    owner: str | None = Field(description="Client that published it.")
    state: Literal["opening", "live", "lost", "closed"] = Field(description="Where it is in its life.")
    started: AwareDatetime | None = Field(description="When it was opened; null when another server process did.")
    at: float = Field(description="Stream seconds of the newest media.")
    lag: float = Field(description="Stream seconds of media that are not in its memory yet.")
    budget: int = Field(description="Audiovisual tokens that it may keep.")
    session_bytes: int = Field(description="Memory that it takes at most, in bytes.")
    store_tokens: int = Field(description="Audiovisual tokens that it keeps.")
    coverage: float = Field(description="Share of its past windows still represented, 0 to 1.")
    subscribers: int = Field(description="Answer WebSockets open.")
    open_questions: int = Field(description="Questions not answered yet.")
    reconnects: int = Field(description="Times that its source was lost and came back.")
    errors: int = Field(description="Errors that it was told of.")
    last_error: str | None = Field(description="Code of the last one.")
    question: str | None = Field(description="Its last question.")
    answer: str | None = Field(description="The answer to it, once complete.")
    ttft_ms: float | None = Field(description="Milliseconds from the end of that question to the first text.")


class Report(Wire):
    """The server as it is now."""

    degradation: str = Field(description="Step of degradation in force; none.")
    queued_windows: int = Field(description="Windows that wait for the engine.")
    oldest_window_age: float = Field(description="Seconds that the oldest of them has waited.")
    resident_bytes: int = Field(description="Memory of the engine's process.")
    sessions: list[SessionReport]


@router.get("/report")
async def report(its: Annotated[Gateway, Depends(gateway_of)]) -> Report:
    """The engine's load and every session, oldest first."""
    stats = await its.engine.stats()
    return Report(
        degradation=stats.degradation,
        queued_windows=stats.queued_windows,
        oldest_window_age=round(stats.oldest_window_age, 3),
        resident_bytes=stats.resident_bytes,
        sessions=[_report(its, session) for session in its.sessions.all()],
    )


def _report(its: Gateway, session: Session) -> SessionReport:
    summary = session.journal.summary
    return SessionReport(
        session=session.id,
        name=session.options.name,
        owner=session.options.owner,
        state=session.state.value,
        started=summary.started,
        at=round(session.position, 3),
        lag=round(max(0.0, session.position - summary.fused_to), 3),
        budget=session.options.engine.budget or its.info.budget,
        session_bytes=session.session_bytes,
        store_tokens=summary.store_tokens,
        coverage=summary.coverage,
        subscribers=session.journal.subscribers,
        open_questions=len(session.turns.open()),
        reconnects=summary.reconnects,
        errors=summary.errors,
        last_error=summary.last_error,
        question=summary.question,
        answer=summary.answer,
        ttft_ms=summary.ttft_ms,
    )
