"""What the gateway remembers of its sessions and questions, so that none is lost with a process."""

from __future__ import annotations

import math
from collections.abc import Iterator

from stream_service.engine.messages import (
    Closed,
    Command,
    Failed,
    Heartbeat,
    NotResized,
    Open,
    Opened,
    Prepared,
    Ready,
    Reply,
)
from stream_service.engine.tenant import AHEAD, Asking, Opening, Tenant
from stream_service.errors import NotFound, OmniDropError
from stream_service.types import (
    AnswerCancelled,
    AnswerDelta,
    AnswerDone,
    AnswerRestarted,
    AnswerStarted,
    CancelReason,
    EngineEvent,
    EngineFault,
    EngineRestarted,
    EngineStats,
    Resized,
    SessionSettings,
    WindowFused,
)


class Ledger:
    """Sessions and questions of one engine. Pure: it says what to send and to tell, and does neither.

    Args:
        window_queue: windows of one session that the engine lets wait.
    """

    def __init__(self, window_queue: int) -> None:
        self._ahead = min(AHEAD, window_queue)
        self._tenants: dict[str, Tenant] = {}
        self.stats = EngineStats(0, 0, 0, 0.0, 0)
        """The engine's last sign of life."""

    def tenant(self, session: str) -> Tenant | None:
        return self._tenants.get(session)

    def add(self, session: str, settings: SessionSettings, hold_s: float, opening: Opening) -> Tenant:
        """A session that is being opened; see :class:`Tenant`."""
        tenant = self._tenants[session] = Tenant(settings, hold_s, opening, self._ahead)
        return tenant

    def forget(self, session: str) -> Iterator[EngineEvent]:
        """A session is closed while there is no engine: its questions end."""
        tenant = self._tenants.pop(session)
        tenant.not_resized(_closed())
        yield from _end_all(tenant, CancelReason.SESSION_CLOSED)

    def cancel(self, session: str, question: str, reason: CancelReason) -> EngineEvent | None:
        """A question is to end early. Returns its end when no process has it; else the process must be told."""
        tenant = self._tenants.get(session)
        asking = None if tenant is None else tenant.asking.get(question)
        if tenant is None or asking is None:
            return None
        if tenant.waits(asking):
            tenant.end(question)
            return AnswerCancelled(session, question, reason)
        asking.ending = asking.ending or reason
        return None

    def due(self, now: float) -> Iterator[Command]:
        """What may be sent now of what waits; sessions with a question that waits come before the others."""
        behind = [tenant for tenant in self._tenants.values() if tenant.behind]
        for tenant in [one for one in behind if one.asks]:
            yield from tenant.next(now)
        if not any(tenant.asks for tenant in behind):
            for tenant in behind:
                yield from tenant.next(now)

    # ---- what the engine says

    def receive(self, message: Reply) -> EngineEvent | None:
        """Takes note of a message. Returns the event to pass on; None when it concerns nobody else (any more)."""
        match message:
            case Heartbeat(stats):
                self._beat(stats)
                return None
            case Opened(session, error, session_bytes):
                return self._opened(session, error.error() if error else None, session_bytes)
            case NotResized(session, refused):
                if tenant := self._tenants.get(session):
                    tenant.not_resized(refused.error())
                return None
            case Closed(session):
                if tenant := self._tenants.pop(session, None):
                    tenant.not_resized(_closed())
                    if tenant.closing:
                        tenant.closing.set_result(None)
                return None
            case Prepared() | Ready() | Failed():
                return None
            case AnswerStarted() | AnswerDelta() | AnswerDone() | AnswerCancelled() | EngineFault():
                return message if self._is_open(message) else None
            case WindowFused():
                if tenant := self._tenants.get(message.session):
                    tenant.fused(message.index)
            case Resized():
                if tenant := self._tenants.get(message.session):
                    tenant.resized(message)
        return message

    def _beat(self, stats: EngineStats) -> None:
        self.stats = stats
        for session, tenant in self._tenants.items():
            if not stats.per_session.get(session, {}).get("queued_windows"):
                tenant.idle()

    def _opened(self, session: str, error: OmniDropError | None, session_bytes: int) -> EngineFault | None:
        tenant = self._tenants[session]
        if not tenant.opening.done():
            if error is None:
                tenant.opening.set_result(session_bytes)
            else:
                del self._tenants[session]
                tenant.opening.set_exception(error)
        elif error is not None:  # a session that should have been rebuilt
            return EngineFault(session, error.code, error.message, error.remedy)
        return None

    def _is_open(self, event: AnswerStarted | AnswerDelta | AnswerDone | AnswerCancelled | EngineFault) -> bool:
        """Whether the event's question has not ended, and takes note of its end: it ends once."""
        if event.question is None:
            return True
        tenant = self._tenants.get(event.session)
        asking = None if tenant is None else tenant.asking.get(event.question)
        if tenant is None or asking is None:
            return False
        if isinstance(event, AnswerDelta):
            asking.published.append(event.text)
        elif not isinstance(event, AnswerStarted):
            tenant.end(event.question)
        return True

    # ---- when a process is gone

    def crashed(self, error: OmniDropError) -> Iterator[EngineEvent]:
        """The engine is lost. Questions wait for the next one, or end; sessions being opened fail with ``error``."""
        yield from self._settle(error)
        for session, tenant in self._tenants.items():
            for asking in tenant.crashed():
                yield _cancelled(asking, asking.ending or CancelReason.ENGINE_LOST)
            for asking in tenant.asking.values():
                if asking.tries:
                    yield AnswerRestarted(session, asking.question.id, "".join(asking.published))
                    asking.published.clear()

    def rejoin(self) -> Iterator[tuple[EngineEvent, Command]]:
        """For each session, what to tell of its rebuilding and how to open it again; then see :meth:`due`."""
        for session, tenant in self._tenants.items():
            windows, lost = tenant.rebuild()
            yield EngineRestarted(session, windows, lost), Open(session, tenant.settings, rejoin=True)

    def give_up(self, asked_before: float) -> Iterator[EngineEvent]:
        """The next engine could not be started: the questions that have waited long enough end."""
        for tenant in self._tenants.values():
            yield from _end_all(tenant, CancelReason.ENGINE_LOST, asked_before)

    def stop(self, error: OmniDropError) -> Iterator[EngineEvent]:
        """The service ends: nobody may go on waiting."""
        for tenant in self._tenants.values():
            yield from _end_all(tenant, CancelReason.SHUTDOWN)
        yield from self._settle(error)
        self._tenants.clear()

    def _settle(self, error: OmniDropError) -> Iterator[EngineEvent]:
        for session, tenant in list(self._tenants.items()):
            tenant.not_resized(error)
            if tenant.closing is not None:
                del self._tenants[session]
                yield from _end_all(tenant, CancelReason.SESSION_CLOSED)
                tenant.closing.set_result(None)
            elif not tenant.opening.done():
                del self._tenants[session]
                tenant.opening.set_exception(error)


def _closed() -> NotFound:
    return NotFound("the session was closed meanwhile", remedy="Open it again.")


def _end_all(tenant: Tenant, reason: CancelReason, asked_before: float = math.inf) -> Iterator[EngineEvent]:
    for asking in list(tenant.asking.values()):
        if asking.asked < asked_before:
            tenant.end(asking.question.id)
            yield _cancelled(asking, asking.ending or reason)


def _cancelled(asking: Asking, reason: CancelReason) -> AnswerCancelled:
    question = asking.question
    return AnswerCancelled(question.session, question.id, reason, "".join(asking.published))
