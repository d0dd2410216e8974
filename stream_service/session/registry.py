"""All sessions of this server: their ids and names, their opening and their end."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stream_service.answers.log import Interrupted
from stream_service.errors import Conflict, EngineUnavailable, Forbidden, InvalidInput, NotFound, OmniDropError
from stream_service.session import endings
from stream_service.session.controller import Session, SessionOptions
from stream_service.session.endings import Ending
from stream_service.session.lifecycle import SessionState
from stream_service.session.ports import Engine, Sources
from stream_service.types import EngineEvent, EngineInfo, Published, Question, QuestionSource, Resized, Trickled

_log = logging.getLogger(__name__)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TICK_S = 0.25


@dataclass(frozen=True, slots=True)
class Parts:
    """How the registry makes and unmakes sessions.

    ``make(id, options)`` a new one, ``revive(past)`` one that an earlier run of the server left open. ``forget(id,
    keep)`` ends a session's log; ``leave_open(id)``, where the log outlasts this run, stops it for a later one.
    ``remember(session)`` is called when its options have changed.
    """

    make: Callable[[str, SessionOptions], Session]
    revive: Callable[[Interrupted], Session]
    forget: Callable[[str, bool], None]
    leave_open: Callable[[str], None] | None = None
    remember: Callable[[Session], None] = lambda session: None


class Sessions:
    """Opens, finds and closes sessions. All methods are called on the event loop."""

    def __init__(self, engine: Engine, sources: Sources, parts: Parts, info: EngineInfo) -> None:
        self._engine = engine
        self._sources = sources
        self._parts = parts
        self._info = info
        self._sessions: dict[str, Session] = {}
        self._names: dict[str, str] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self.stopping = False
        self._quiet = asyncio.Event()

    # Finding ---------------------------------------------------------------------------------------------------------

    def all(self) -> list[Session]:
        """Oldest first."""
        return list(self._sessions.values())

    def find(self, key: str) -> Session | None:
        """The living session with this id or name."""
        return self._sessions.get(self._names.get(key, key))

    def get(self, key: str) -> Session:
        """Like :meth:`find`; raises NotFound."""
        session = self.find(key)
        if session is None:
            raise NotFound(
                f"There is no session {key[:80]!r}.",
                remedy="Check the id or name, or publish a source first; sessions end when their source is gone.",
            )
        return session

    def ask(self, key: str, text: str, source: QuestionSource = QuestionSource.HTTP) -> Question:
        """A typed question; raises NotFound, EngineUnavailable while stopping, and what :meth:`Session.ask` raises."""
        session = self.get(key)
        self._check_open()
        return session.ask(text, source)

    async def resize(self, key: str, budget: int) -> Resized:
        """Change what a session may keep; raises NotFound, EngineUnavailable, and what :meth:`Engine.resize` raises."""
        session = self.get(key)
        self._check_open()
        return await self._engine.resize(session.id, budget)

    def _check_open(self) -> None:
        if self.stopping:
            raise EngineUnavailable("The server is stopping.", remedy="Try again in a moment.", retry_after=5.0)

    # Publishing ------------------------------------------------------------------------------------------------------

    async def publish(self, offer: str, key: str | None, options: SessionOptions) -> tuple[Session, Published]:
        """Negotiate a source: for a new session (named ``key``, if given), or for the living one called ``key``.

        A source may always come back to a session by its id, which cannot be guessed, and by its name once the earlier
        source is lost; with the token that opened it, where the server asks for tokens. Raises InvalidInput for a bad
        name, Conflict, Forbidden, ServerFull, EngineUnavailable, and what the negotiation raises.
        """
        self._check_open()
        session = None if key is None else self.find(key)
        if session is None:
            return await self._publish_new(offer, key, options)
        if session.options.owner != options.owner:
            raise Forbidden("This session was opened with another token.", remedy="Publish under another name.")
        if key != session.id and session.state is not SessionState.LOST:
            raise Conflict(
                f"The name {key!r} is in use by a live source.",
                remedy="Publish under another name, or wait until that source has ended.",
                retry_after=5.0,
            )
        published = await self._sources.publish(session.id, offer, session)
        await self._check_still_there(session)
        return session, published

    async def resume(self, interrupted: Sequence[Interrupted]) -> None:
        """Bring back the sessions that an earlier run left open; each waits for its source as long as for a lost one.

        One that the engine does not take any more is closed, with the reason.
        """
        for past in interrupted:
            session = self._parts.revive(past)
            self._keep(session)
            if session.options.name is not None:
                self._names[session.options.name] = session.id
            session.resume()
            try:
                session.session_bytes = await self._engine.open(session.id, session.options.engine)
            except OmniDropError as error:
                await self.close(session.id, endings.not_resumed(error.message))

    async def trickle(self, key: str, fragment: str, if_match: str | None) -> Trickled:
        """Pass ICE candidates, or an ICE restart, to the session's source."""
        return await self._sources.trickle(self.get(key).id, fragment, if_match)

    async def _publish_new(self, offer: str, name: str | None, options: SessionOptions) -> tuple[Session, Published]:
        if name is not None and not _NAME.fullmatch(name):
            raise InvalidInput(
                f"{name[:80]!r} cannot name a session.",
                field="name",
                remedy="Use up to 64 letters, digits, dots, dashes and underscores, beginning with a letter or digit.",
            )
        if name is not None and name in self._names:
            raise Conflict(
                f"A source is being taken in as {name!r} just now.",
                remedy="Publish under another name, or try again in a moment.",
                retry_after=5.0,
            )
        id = secrets.token_urlsafe(16)
        if name is not None:
            self._names[name] = id  # before the first await: no one else can take the name meanwhile
        try:
            session_bytes = await self._engine.open(id, options.engine)
            session = self._begin(id, options, session_bytes)
            published = await self._negotiate(session, offer)
        except BaseException:  # cancelled as well: no name and no session may stay behind
            if name is not None and self._names.get(name) == id:
                del self._names[name]
            raise
        return session, published

    def _begin(self, id: str, options: SessionOptions, session_bytes: int) -> Session:
        session = self._parts.make(id, options)
        session.session_bytes = session_bytes
        self._keep(session)
        session.announce(self._info)
        return session

    def _keep(self, session: Session) -> None:
        self._sessions[session.id] = session
        self._tasks[session.id] = asyncio.create_task(self._host(session), name=f"session {session.id}")

    async def _negotiate(self, session: Session, offer: str) -> Published:
        """The first source of a new session; without it the session never was."""
        try:
            published = await self._sources.publish(session.id, offer, session)
        except BaseException:  # cancelled as well: no name and no session may stay behind
            if session.id in self._sessions:
                await self.close(session.id, endings.NOT_NEGOTIATED, keep=False)
            raise
        await self._check_still_there(session)
        return published

    async def _check_still_there(self, session: Session) -> None:
        """A session may be closed while its source is being negotiated: then nobody else will end that source."""
        if session.id not in self._sessions:
            await self._sources.end(session.id)
            raise NotFound("The session was closed meanwhile.", remedy="Publish again.")

    # Ending ----------------------------------------------------------------------------------------------------------

    async def close(self, key: str, ending: Ending, *, keep: bool = True) -> None:
        """End a session and free what it holds, but for its log (``keep``). Raises NotFound."""
        session = self.get(key)
        self._remove(session)
        session.close(ending)
        self._parts.forget(session.id, keep)
        await self._free(session)

    async def _suspend(self, session: Session, leave_open: Callable[[str], None]) -> None:
        """Stop a session that the next run of the server takes up again."""
        self._remove(session)
        session.suspend()
        leave_open(session.id)
        await self._free(session)

    def _remove(self, session: Session) -> None:
        del self._sessions[session.id]
        name = session.options.name
        if name is not None and self._names.get(name) == session.id:
            del self._names[name]

    async def _free(self, session: Session) -> None:
        self._check_quiet()
        await self._sources.end(session.id)
        await self._engine.close(session.id)
        host = self._tasks.pop(session.id, None)
        if host is not None:
            await asyncio.wait({host})

    def on_engine(self, event: EngineEvent) -> None:
        """Hand an event of the engine to its session; one that has ended meanwhile does not hear it."""
        session = self._sessions.get(event.session)
        if session is not None:
            session.on_engine(event)
            if isinstance(event, Resized):
                self._parts.remember(session)
            self._check_quiet()

    def tick(self) -> None:
        """Close the sessions that have outlived their source or their media."""
        for session in self.all():
            ending = session.expired()
            if ending is not None:
                self._close_soon(session.id, ending)

    async def watch(self) -> None:
        """Call :meth:`tick` until cancelled."""
        while True:
            await asyncio.sleep(_TICK_S)
            self.tick()

    async def stop(self, drain_s: float) -> None:
        """Take nothing new, let running answers finish for at most ``drain_s`` seconds, then end every session.

        Sessions with a name are left open where the log allows: whoever knows the name finds them after a restart.
        """
        self.stopping = True
        self._check_quiet()
        try:
            async with asyncio.timeout(drain_s):
                await self._quiet.wait()
        except TimeoutError:
            _log.warning("answers were still running after %g s and are cancelled", drain_s)
        leave_open = self._parts.leave_open
        for session in self.all():
            if leave_open is not None and session.options.name is not None:
                await self._suspend(session, leave_open)
            else:
                await self.close(session.id, endings.SHUTDOWN)
        if self._closing:
            await asyncio.wait(self._closing)

    def hurry(self) -> None:
        """Do not wait for running answers any longer."""
        self._quiet.set()

    def _check_quiet(self) -> None:
        if self.stopping and not any(len(session.turns) for session in self._sessions.values()):
            self._quiet.set()

    def _close_soon(self, id: str, ending: Ending) -> None:
        task = asyncio.create_task(self._close_if_there(id, ending))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close_if_there(self, id: str, ending: Ending) -> None:
        if id in self._sessions:
            await self.close(id, ending)

    async def _host(self, session: Session) -> None:
        try:
            await session.run()
        except Exception:  # whatever went wrong in one session must not reach the others
            _log.exception("a session failed", extra={"session": session.id})
            session.fail()
            self._close_soon(session.id, endings.INTERNAL)
