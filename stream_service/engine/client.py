"""The engine in a child process, seen from the gateway. Neither torch nor the pruner is imported here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from enum import Enum

from stream_service.engine.backoff import Backoff
from stream_service.engine.degradation import Step
from stream_service.engine.ledger import Ledger
from stream_service.engine.link import Link
from stream_service.engine.messages import Asked, Cancel, Close, Feed, Open, Reply, Resize, Stop
from stream_service.engine.settings import MOST_REFEED, EngineSettings
from stream_service.engine.spares import Spares, Spawn
from stream_service.engine.tenant import Resizing, Tenant
from stream_service.errors import Busy, Conflict, EngineUnavailable, NotFound, OmniDropError
from stream_service.types import (
    CancelReason,
    EngineEvent,
    EngineFault,
    EngineInfo,
    EngineStats,
    Overloaded,
    Question,
    Resized,
    SessionSettings,
    Window,
)

EVENTS_HIGH, EVENTS_LOW = 4096, 512
"""Events waiting for the consumer at which reading from the engine pauses, and resumes."""
WATCH_S = 1.0
"""How often signs of life are looked for."""
EXIT_GRACE_S = 5.0
"""Beyond the drain time, for a process that was told to stop."""
BURIAL_S = 1.0
"""For a process that has closed its channel: killing one that has just ended would lose its exit status."""
WINDOW_S = 2
"""Seconds of a whole window."""

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

    After a restart each session is opened again from the windows still held (``refeed_windows``), and its questions,
    running or waiting, are asked again where they stood among them; those asked meanwhile follow. A question ends as
    cancelled (engine lost) when the engine died twice over it, or could not be started until its time
    (``answer_timeout_s``) was over. What was said in earlier turns is forgotten.

    Args:
        settings: the deployment's engine section.
        spawn: starts one process; replaced in tests.
    """

    def __init__(self, settings: EngineSettings, spawn: Spawn = Link.spawn) -> None:
        self._settings = settings
        self._spares = Spares(settings, spawn, self._receive)
        self._state = EngineState.NEW
        self._link: Link | None = None
        self._info: EngineInfo | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._ledger = Ledger(settings.window_queue)
        self._packer = ThreadPoolExecutor(1, "pack")
        self._events: asyncio.Queue[EngineEvent | None] = asyncio.Queue()

    @property
    def state(self) -> EngineState:
        return self._state

    @property
    def ready(self) -> bool:
        """Whether it can take sessions now; False while it is being restarted."""
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
            self._link = await self._spares.take()
            self._info = await self._link.load()
        except BaseException:  # cancelled as well: no process may stay behind
            await self._finish()
            raise
        self._move(EngineState.RUNNING)
        self._supervisor = asyncio.create_task(self._supervise(), name="engine-supervisor")
        return self._info

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
        await self._spares.end()
        self._packer.shutdown(wait=False, cancel_futures=True)
        self._tell(self._ledger.stop(self._unavailable()))
        self._events.put_nowait(None)
        self._move(EngineState.STOPPED)

    async def _supervise(self) -> None:
        """Keeps a process running; cancelled by :meth:`stop`."""
        clock = asyncio.get_running_loop().time
        backoff = Backoff(self._settings.restart_backoff_s)
        while self._link is not None:
            await self._spares.prepare()
            began = clock()
            await self._watch(self._link)
            self._move(EngineState.RESTARTING)
            status = await self._link.end(BURIAL_S)
            _log.error("the engine process ended with status %s; starting another", status)
            self._tell(self._ledger.crashed(self._unavailable()))
            pause = backoff.died(clock() - began)
            while True:
                await asyncio.sleep(pause)
                if await self._started_again():
                    break
                pause = backoff.died(0.0)
            self._move(EngineState.RUNNING)
            for event, command in self._ledger.rejoin():
                self._emit(event)
                self._link.send(command)
            self._send_due()

    async def _started_again(self) -> bool:
        """Whether another process took over. If not, questions that have had their time end."""
        try:
            self._link = await self._spares.take()
            await self._link.load()
        except (OmniDropError, OSError) as error:
            _log.error("the engine cannot start again: %s", error)
            if self._link is not None:
                await self._link.end(BURIAL_S)
            self._tell(self._ledger.give_up(time.monotonic() - self._settings.answer_timeout_s))
            return False
        return True

    async def _watch(self, link: Link) -> None:
        """Returns when the process is gone; ends it itself when it gives no sign of life."""
        while not link.lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WATCH_S):
                    await link.lost.wait()
            if link.silence() > self._settings.hang_s:
                _log.error("the engine gave no sign of life for %.0f s", link.silence())
                link.kill()

    # ---- what the service asks for

    async def open(self, session: str, settings: SessionSettings) -> int:
        """Opens a session. Returns the bytes that it takes at most.

        Raises:
            ServerFull, InvalidInput, Conflict, EngineUnavailable: not now, not so, not by this name, not at all.
        """
        link = self._running()
        if link is None:
            raise self._unavailable()
        if self._ledger.tenant(session):
            raise Conflict(f"session {session} is open already", remedy="Choose another name.", field="session")
        opening = asyncio.get_running_loop().create_future()
        tenant = self._ledger.add(session, settings, self._hold_s(settings), opening)
        link.send(Open(session, settings))
        try:
            return await asyncio.shield(tenant.opening)
        except asyncio.CancelledError:  # nobody will close it
            tenant.closing = asyncio.get_running_loop().create_future()
            link.send(Close(session))
            raise

    async def resize(self, session: str, budget: int) -> Resized:
        """Changes how many tokens a session may keep, once no answer of it runs. The event comes as well.

        Raises:
            NotFound, InvalidInput, Conflict, ServerFull, EngineUnavailable: not this one, not so, not before an earlier
            change is made, not now, not at all.
        """
        tenant, link = self._ledger.tenant(session), self._running()
        if tenant is None:
            raise NotFound("no such session", remedy="Open the session again.")
        if link is None:
            raise self._unavailable()
        if tenant.resizing is not None:
            raise Conflict("the budget is being changed already", remedy="Wait for that change.", retry_after=1.0)
        done: asyncio.Future[Resized] = asyncio.get_running_loop().create_future()
        tenant.resizing = Resizing(self._hold_s(replace(tenant.settings, budget=budget)), done)
        link.send(Resize(session, budget))
        return await asyncio.shield(done)

    def feed(self, window: Window) -> None:
        """Hands over a window. Never blocks: what does not fit is dropped, with an :class:`Overloaded` event."""
        tenant, link = self._ledger.tenant(window.session), self._running()
        if tenant is None:
            return
        if link is None or tenant.behind:
            self._keep(tenant, [window], sent=False)
            self._send_due()
            return
        self._keep(tenant, [window], sent=True)
        if link.backed_up:
            self._emit(Overloaded(window.session, Step.WINDOWS.action, windows=1))
        else:
            link.send(Feed(window))

    def ask(self, question: Question, closing: Sequence[Window]) -> None:
        """Asks about everything fed so far and the ``closing`` windows, which get the question's priority."""
        at = time.monotonic()
        tenant, link = self._ledger.tenant(question.session), self._running()
        if tenant is None:
            self._refuse(question, NotFound("no such session", remedy="Open the session again."))
            return
        waits = link is None or tenant.behind
        self._keep(tenant, closing, sent=not waits)
        if waits and len(tenant.asking) > self._settings.question_queue:
            waiting = f"{self._settings.question_queue} questions are waiting already"
            self._refuse(question, Busy(waiting, remedy="Wait for an answer, or cancel a question."))
            return
        tenant.ask(question, at, sent=not waits)
        if link is None or waits:
            self._send_due()
        else:
            link.send(Asked(question, tuple(closing), at, at))

    def cancel(self, session: str, question: str, reason: CancelReason) -> None:
        """Ends a question early; no effect on one that has ended."""
        if (end := self._ledger.cancel(session, question, reason)) is not None:
            self._emit(end)
        elif (link := self._running()) is not None:
            link.send(Cancel(session, question, reason))

    async def close(self, session: str) -> None:
        """Ends the session's questions and frees its memory; no effect on an unknown session."""
        tenant, link = self._ledger.tenant(session), self._running()
        if tenant is None:
            return
        if link is None:
            self._tell(self._ledger.forget(session))
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

    def _hold_s(self, wished: SessionSettings) -> float:
        """Seconds of media that a session's memory can hold, or as many as configured."""
        windows = self._settings.refeed_windows
        if windows is None:
            assert self._info is not None
            windows = math.ceil((wished.budget or self._info.budget) / self._info.window_tokens)
        return float(WINDOW_S * min(windows, MOST_REFEED))

    def _keep(self, tenant: Tenant, windows: Sequence[Window], *, sent: bool) -> None:
        made, skipped = tenant.keep(windows, sent=sent)
        for held in made:
            self._packer.submit(held.pack)
        if skipped and self._running() is not None:  # else the restart will tell
            self._emit(Overloaded(windows[0].session, Step.WINDOWS.action, windows=skipped))

    def _send_due(self) -> None:
        if (link := self._running()) is not None:
            for command in self._ledger.due(time.monotonic()):
                link.send(command)

    def _receive(self, message: Reply) -> None:
        if (event := self._ledger.receive(message)) is not None:
            self._emit(event)
        self._send_due()

    def _refuse(self, question: Question, error: OmniDropError) -> None:
        self._emit(EngineFault(question.session, error.code, error.message, error.remedy, question.id))

    def _tell(self, events: Iterable[EngineEvent]) -> None:
        for event in events:
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
