"""The next engine process, waiting with its libraries loaded: what is left of a restart is loading the model."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from stream_service.engine.link import Link
from stream_service.engine.messages import Reply
from stream_service.engine.settings import EngineSettings

NICENESS = 10
"""Of a spare until it is prepared: a tenth of the share of those at work, so that it is ready on a full machine too."""

Spawn = Callable[[EngineSettings, Callable[[Reply], None]], Awaitable[Link]]

_log = logging.getLogger(__name__)


class Spares:
    """Hands out processes, at most one of them prepared.

    Args:
        settings: ``standby`` says whether to keep a spare at all.
        spawn: starts a process.
        receive: gets what a process says once it runs its model.
    """

    def __init__(self, settings: EngineSettings, spawn: Spawn, receive: Callable[[Reply], None]) -> None:
        self._settings = settings
        self._spawn = spawn
        self._receive = receive
        self._spare: Link | None = None

    async def prepare(self) -> None:
        """Starts a spare if there is to be one; without one, the next start just takes longer."""
        if not self._settings.standby or self._alive():
            return
        try:
            self._spare = await self._spawn(self._settings, self._receive)
        except OSError as error:
            _log.warning("no spare engine process could be started: %s", error)
        else:
            self._spare.prepare(NICENESS)

    async def take(self) -> Link:
        """The spare if it is prepared; else a fresh process, for whose sake nobody has to wait. Raises OSError."""
        if self._spare is not None and self._alive() and self._spare.prepared.is_set():
            spare, self._spare = self._spare, None
            return spare
        return await self._spawn(self._settings, self._receive)

    def _alive(self) -> bool:
        return self._spare is not None and not self._spare.lost.is_set()

    async def end(self) -> None:
        """Ends the spare."""
        spare, self._spare = self._spare, None
        if spare is not None:
            await spare.end(0.0)
