"""What the gateway remembers of its sessions and questions, so that none is lost with a process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from stream_service.engine.messages import Closed, Command, Failed, Feed, Heartbeat, Open, Opened, Ready, Reply
from stream_service.errors import OmniDropError
from stream_service.types import (
    AnswerCancelled,
    AnswerDelta,
    AnswerDone,
    AnswerStarted,
    CancelReason,
    EngineEvent,
    EngineFault,
    EngineRestarted,
    EngineStats,
    Question,
    SessionSettings,
    Window,
    WindowFused,
)

Pending = asyncio.Future[None]


@dataclass(slots=True)
class Tenant:
    """One session, as far as it takes to rebuild it in another process."""

    settings: SessionSettings
    recent: deque[Window]
    opening: Pending
    closing: Pending | None = None
    known: int = 0
    """Windows that the running process was given."""
    unproven: int = 0
    """Windows given again after a restart and not fused yet: if the process dies over them, they are suspects."""

    def keep(self, windows: Sequence[Window]) -> None:
        self.recent.extend(windows)
        self.known += len(windows)


@dataclass(slots=True)
class _Asked:
    """A question that has not ended."""

    session: str
    published: list[str] = field(default_factory=list)


class Ledger:
    """Sessions and questions of one engine.

    Args:
        refeed_windows: latest windows kept of each session; older ones are let go.
    """

    def __init__(self, refeed_windows: int) -> None:
        self._refeed_windows = refeed_windows
        self._tenants: dict[str, Tenant] = {}
        self._asked: dict[str, _Asked] = {}
        self.stats = EngineStats(0, 0, 0, 0.0, 0)
        """The engine's last sign of life."""

    def tenant(self, session: str) -> Tenant | None:
        return self._tenants.get(session)

    def add(self, session: str, settings: SessionSettings, opening: Pending) -> Tenant:
        """A session that is being opened; ``opening`` is resolved by the engine's reply."""
        tenant = self._tenants[session] = Tenant(settings, deque(maxlen=self._refeed_windows), opening)
        return tenant

    def forget(self, session: str) -> None:
        self._tenants.pop(session, None)

    def asked(self, question: Question) -> None:
        self._asked[question.id] = _Asked(question.session)

    # ---- what the engine says

    def receive(self, message: Reply) -> EngineEvent | None:
        """Takes note of a message. Returns the event to pass on; None when it concerns nobody else (any more)."""
        match message:
            case Heartbeat(stats):
                self.stats = stats
                return None
            case Opened(session, error):
                return self._opened(session, error.error() if error else None)
            case Closed(session):
                tenant = self._tenants.pop(session, None)
                if tenant and tenant.closing:
                    tenant.closing.set_result(None)
                return None
            case Ready() | Failed():
                return None
            case AnswerStarted() | AnswerDelta() | AnswerDone() | AnswerCancelled() | EngineFault():
                return message if self._is_open(message) else None
            case WindowFused(session):
                tenant = self._tenants.get(session)
                if tenant and tenant.unproven:
                    tenant.unproven -= 1
        return message

    def _opened(self, session: str, error: OmniDropError | None) -> EngineFault | None:
        tenant = self._tenants[session]
        if not tenant.opening.done():
            if error is None:
                tenant.opening.set_result(None)
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
        asked = self._asked.get(event.question)
        if asked is not None and isinstance(event, AnswerDelta):
            asked.published.append(event.text)
        elif not isinstance(event, AnswerStarted):
            self._asked.pop(event.question, None)
        return asked is not None

    # ---- when a process is gone

    def let_go(self, reason: CancelReason, error: OmniDropError) -> Iterator[EngineEvent]:
        """Nobody may go on waiting for it: questions end as cancelled, sessions being opened fail with ``error``."""
        for question, asked in self._asked.items():
            yield AnswerCancelled(asked.session, question, reason, "".join(asked.published))
        self._asked.clear()
        for session, tenant in list(self._tenants.items()):
            if tenant.unproven:
                tenant.recent.clear()
            if tenant.closing is not None:
                tenant.closing.set_result(None)
                del self._tenants[session]
            elif not tenant.opening.done():
                tenant.opening.set_exception(error)
                del self._tenants[session]

    def rejoin(self) -> Iterator[tuple[EngineEvent, list[Command]]]:
        """For each session, what to tell of its rebuilding and what to send to the new process for it."""
        for session, tenant in self._tenants.items():
            again = len(tenant.recent)
            restarted = EngineRestarted(session, windows_refed=again, windows_lost=tenant.known - again)
            tenant.known = tenant.unproven = again
            yield restarted, [Open(session, tenant.settings, rejoin=True), *map(Feed, tenant.recent)]
