"""The engine in a child process, seen from the gateway. Neither torch nor the pruner is imported here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from enum import Enum

from stream_service.engine.degradation import Step
from stream_service.engine.ledger import Ledger
from stream_service.engine.link import Link
from stream_service.engine.messages import Asked, Cancel, Close, Feed, Open, Reply, Stop
from stream_service.engine.settings import EngineSettings
from stream_service.errors import Conflict, EngineUnavailable, OmniDropError
from stream_service.types import (
    CancelReason,
    EngineEvent,
    EngineFault,
    EngineInfo,
    EngineStats,
    Overloaded,
    Question,
    SessionSettings,
    Window,
)

EVENTS_HIGH, EVENTS_LOW = 4096, 512
"""Events waiting for the consumer at which reading from the engine pauses, and resumes."""
WATCH_S = 1.0
"""How often signs of life are looked for."""
LONGEST_BACKOFF_S = 30.0
HEALTHY_S = 60.0
"""A process that lived this long is restarted without the back-off of those before it."""
EXIT_GRACE_S = 5.0
"""Beyond the drain time, for a process that was told to stop."""

_log = logging.getLogger(__name__)


class EngineState(Enum):
    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"


_NEXT = {
    EngineState.NEW: {EngineState.STARTING},
    EngineState.STARTING: {EngineState.RUNNING, EngineState.STOPPED},
    EngineState.RUNNING: {EngineState.RESTARTING, EngineState.STOPPING},
    EngineState.RESTARTING: {EngineState.RUNNING, EngineState.STOPPING},
    EngineState.STOPPING: {EngineState.STOPPED},
    EngineState.STOPPED: set[EngineState](),
}


class LocalEngine:
    """The engine as the service sees it, over a child process that is restarted when it dies or hangs.

    Every question that is asked ends exactly once: in an :class:`AnswerDone`, an :class:`AnswerCancelled`, or an
    :class:`EngineFault` that names it.

    After a restart each session is opened again from its latest ``refeed_windows`` windows; its questions end as
    cancelled (engine lost), and what was said in earlier turns is forgotten.

    Args:
        settings: the deployment's engine section.
        spawn: starts one process; replaced in tests.
    """

    def __init__(
        self,
        settings: EngineSettings,
        spawn: Callable[[EngineSettings, Callable[[Reply], None]], Awaitable[Link]] = Link.spawn,
    ) -> None:
        self._settings = settings
        self._spawn = spawn
        self._state = EngineState.NEW
        self._link: Link | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._ledger = Ledger(min(settings.refeed_windows, settings.window_queue))
        self._events: asyncio.Queue[EngineEvent | None] = asyncio.Queue()

    @property
    def state(self) -> EngineState:
        return self._state

    @property
    def ready(self) -> bool:
        """Whether it can take sessions and questions now; False while it is being restarted."""
        return self._state is EngineState.RUNNING

    @property
    def pid(self) -> int | None:
        """Process id of the running engine, for the operator; None while there is none."""
        link = self._running()
        return None if link is None else link.pid

    # ---- life

    async def start(self) -> EngineInfo:
        """Starts the process and loads the model.

        Raises:
            StartupError, InvalidConfig: the engine cannot serve as configured.
        """
        self._move(EngineState.STARTING)
        try:
            self._link = await self._spawn(self._settings, self._receive)
            info = await self._link.info()
        except BaseException:  # cancelled as well: no process may stay behind
            await self._finish()
            raise
        self._move(EngineState.RUNNING)
        self._supervisor = asyncio.create_task(self._supervise(), name="engine-supervisor")
        return info

    async def stop(self, *, drain_s: float) -> None:
        """Lets running answers finish for at most ``drain_s`` seconds, then ends the engine and :meth:`events`."""
        if self._state not in (EngineState.RUNNING, EngineState.RESTARTING):
            return
        running = self._state is EngineState.RUNNING
        self._move(EngineState.STOPPING)
        assert self._supervisor is not None
        self._supervisor.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._supervisor
        if running and self._link is not None:
            self._link.send(Stop(drain_s))
            await self._link.end(drain_s + EXIT_GRACE_S)
        await self._finish()

    async def _finish(self) -> None:
        if self._link is not None:
            self._link.kill()
            await self._link.end(EXIT_GRACE_S)
        self._let_go(CancelReason.SHUTDOWN)
        self._events.put_nowait(None)
        self._move(EngineState.STOPPED)

    async def _supervise(self) -> None:
        """Keeps a process running; cancelled by :meth:`stop`."""
        clock = asyncio.get_running_loop().time
        failures = 0
        while self._link is not None:
            began = clock()
            await self._watch(self._link)
            self._move(EngineState.RESTARTING)
            status = await self._link.end(0.0)
            _log.error("the engine process ended with status %s; starting another", status)
            self._let_go(CancelReason.ENGINE_LOST)
            failures = 0 if clock() - began > HEALTHY_S else failures
            while True:
                await asyncio.sleep(min(self._settings.restart_backoff_s * 2**failures, LONGEST_BACKOFF_S))
                failures += 1
                try:
                    self._link = await self._spawn(self._settings, self._receive)
                    await self._link.info()
                    break
                except (OmniDropError, OSError) as error:
                    _log.error("the engine cannot start again: %s", error)
                    await self._link.end(0.0)
            self._move(EngineState.RUNNING)
            for event, commands in self._ledger.rejoin():
                self._emit(event)
                for command in commands:
                    self._link.send(command)

    async def _watch(self, link: Link) -> None:
        """Returns when the process is gone; ends it itself when it gives no sign of life."""
        while not link.lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WATCH_S):
                    await link.lost.wait()
            if link.silence() > self._settings.hang_s:
                _log.error("the engine gave no sign of life for %.0f s", link.silence())
                link.kill()

    def _let_go(self, reason: CancelReason) -> None:
        for event in self._ledger.let_go(reason, self._unavailable()):
            self._emit(event)

    # ---- what the service asks for

    async def open(self, session: str, settings: SessionSettings) -> None:
        """Opens a session.

        Raises:
            ServerFull, InvalidInput, Conflict, EngineUnavailable: not now, not so, not by this name, not at all.
        """
        link = self._running()
        if link is None:
            raise self._unavailable()
        if self._ledger.tenant(session):
            raise Conflict(f"session {session} is open already", remedy="Choose another name.", field="session")
        tenant = self._ledger.add(session, settings, asyncio.get_running_loop().create_future())
        link.send(Open(session, settings))
        try:
            await asyncio.shield(tenant.opening)
        except asyncio.CancelledError:  # nobody will close it
            tenant.closing = asyncio.get_running_loop().create_future()
            link.send(Close(session))
            raise

    def feed(self, window: Window) -> None:
        """Hands over a window. Never blocks: what does not fit is dropped, with an :class:`Overloaded` event."""
        tenant, link = self._ledger.tenant(window.session), self._running()
        if tenant is None:
            return
        tenant.keep([window])
        if link is not None and link.backed_up:
            self._emit(Overloaded(window.session, Step.WINDOWS.action, windows=1))
        elif link is not None:
            link.send(Feed(window))

    def ask(self, question: Question, closing: Sequence[Window]) -> None:
        """Asks about everything fed so far and the ``closing`` windows, which get the question's priority."""
        at = time.monotonic()
        tenant, link = self._ledger.tenant(question.session), self._running()
        if tenant is not None:
            tenant.keep(closing)
        if link is None:
            error = self._unavailable()
            self._emit(EngineFault(question.session, error.code, error.message, error.remedy, question.id))
        else:
            self._ledger.asked(question)
            link.send(Asked(question, tuple(closing), at))

    def cancel(self, session: str, question: str, reason: CancelReason) -> None:
        """Ends a question early; no effect on one that has ended."""
        if (link := self._running()) is not None:
            link.send(Cancel(session, question, reason))

    async def close(self, session: str) -> None:
        """Ends the session's questions and frees its memory; no effect on an unknown session."""
        tenant, link = self._ledger.tenant(session), self._running()
        if tenant is None:
            return
        if link is None:
            self._ledger.forget(session)
            return
        if tenant.closing is None:
            tenant.closing = asyncio.get_running_loop().create_future()
            link.send(Close(session))
        await asyncio.shield(tenant.closing)

    async def stats(self) -> EngineStats:
        """The snapshot of the last sign of life: about a second old while the engine runs."""
        return self._ledger.stats

    async def events(self) -> AsyncIterator[EngineEvent]:
        """Events of all sessions, for one consumer."""
        while (event := await self._events.get()) is not None:
            if self._events.qsize() <= EVENTS_LOW and self._link is not None:
                self._link.pause(False)
            yield event

    # ---- inside

    def _running(self) -> Link | None:
        return self._link if self._state is EngineState.RUNNING else None

    def _receive(self, message: Reply) -> None:
        if (event := self._ledger.receive(message)) is not None:
            self._emit(event)

    def _emit(self, event: EngineEvent) -> None:
        self._events.put_nowait(event)
        if self._events.qsize() >= EVENTS_HIGH and self._link is not None:
            self._link.pause(True)

    def _unavailable(self) -> EngineUnavailable:
        wait = self._settings.restart_backoff_s + 5.0
        return EngineUnavailable(
            "the engine is being restarted", remedy="Try again in a few seconds.", retry_after=wait
        )

    def _move(self, to: EngineState) -> None:
        if to not in _NEXT[self._state]:
            raise RuntimeError(f"the engine is {self._state.value} and cannot become {to.value}")
        self._state = to
