"""The gateway's end of the channel to one engine process: asyncio protocol, process handle, signs of life."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

from stream_service import logs
from stream_service.engine.channel import Decoder, encode
from stream_service.engine.messages import Command, Failed, Prepare, Prepared, Ready, Reply, Start
from stream_service.engine.settings import EngineSettings
from stream_service.errors import StartupError
from stream_service.types import EngineInfo

SEND_LIMIT = 64 << 20
"""Bytes that may wait for an engine that does not read; past it windows are dropped."""


class Link(asyncio.Protocol):
    """One engine process and the socket to it.

    Args:
        process: the engine process, just started.
        settings: what it will be told to run.
        receive: called on the event loop with every message once the model is loaded.
    """

    def __init__(self, process: Process, settings: EngineSettings, receive: Callable[[Reply], None]) -> None:
        self._process = process
        self._settings = settings
        self._receive = receive
        self._info: asyncio.Future[EngineInfo] = asyncio.get_running_loop().create_future()
        self._decoder = Decoder()
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self.lost = asyncio.Event()
        """Set once the process can no longer be talked to."""
        self.prepared = asyncio.Event()
        """Set once a process that was told to :meth:`prepare` has done so."""
        self.heard = asyncio.get_running_loop().time()

    @classmethod
    async def spawn(cls, settings: EngineSettings, receive: Callable[[Reply], None]) -> Link:
        """Starts an engine process, which then waits to be told what to do."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "stream_service.engine.process", str(theirs.fileno()), str(os.getpid())),
                pass_fds=(theirs.fileno(),),
                env=_environment(),
                stdin=DEVNULL,
            )
        loop = asyncio.get_running_loop()
        try:
            make = partial(cls, process, settings, receive)
            _, link = await loop.create_unix_connection(make, sock=ours)
        except BaseException:  # cancelled as well: no process may stay behind
            process.kill()
            raise
        return link

    def prepare(self, niceness: int) -> None:
        """Lets the process load its libraries, with this niceness, while it is not needed yet."""
        self.send(Prepare(niceness))

    async def load(self) -> EngineInfo:
        """Tells the process to load the model, and waits for it.

        Raises:
            StartupError, InvalidConfig: it cannot be, or takes longer than ``engine.load_timeout_s``.
        """
        self.send(Start(self._settings))
        limit_s = self._settings.load_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                return await asyncio.shield(self._info)
        except TimeoutError:
            message = f"the model was not loaded after {limit_s:.0f} s"
            raise StartupError(message, remedy="Raise engine.load_timeout_s, or choose a smaller model.") from None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def backed_up(self) -> bool:
        """The engine is so slow to read that nothing more should be sent that can be left out."""
        return self._transport is not None and self._transport.get_write_buffer_size() > SEND_LIMIT

    def send(self, message: Command) -> None:
        """Queues a message; never waits. After the link is lost it goes nowhere."""
        if self._transport is not None and not self.lost.is_set():
            self._transport.writelines(encode(message))

    def pause(self, paused: bool) -> None:
        """Stops or resumes reading, so that a consumer that does not keep up holds the engine back, not our memory."""
        if self._transport is None or paused == self._paused:
            return
        self._paused = paused
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
            self.heard = asyncio.get_running_loop().time()

    def silence(self) -> float:
        """Seconds since the process was last heard of; 0 while we are not listening."""
        return 0.0 if self._paused else asyncio.get_running_loop().time() - self.heard

    async def end(self, patience_s: float) -> int:
        """Waits for the process to exit by itself and its last words, then kills it. Returns its exit status."""
        try:
            async with asyncio.timeout(patience_s):
                await self.lost.wait()
                return await self._process.wait()
        except TimeoutError:
            self.kill()
            return await self._process.wait()
        finally:
            if self._transport is not None:
                self._transport.abort()

    def kill(self) -> None:
        """Ends the process at once."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports do not derive from asyncio's

    def data_received(self, data: bytes) -> None:
        self.heard = asyncio.get_running_loop().time()
        message: Reply
        for message in self._decoder.push(data):
            match message:
                case Prepared():
                    self.prepared.set()
                case Ready(info):
                    self._info.set_result(info)
                case Failed(error):
                    self._info.set_exception(error.error())
                case _:
                    self._receive(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()
        if not self._info.done():
            remedy = "Its last lines on standard error say why."
            self._info.set_exception(StartupError("the engine process ended while it was loading", remedy=remedy))
            self._info.exception()  # whoever waited may have been cancelled: that is no reason for a warning


def _environment() -> dict[str, str]:
    """The child's environment: our import path, no network, and few allocator arenas so that memory stays flat."""
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    own = {
        "PYTHONPATH": path,
        "MALLOC_ARENA_MAX": "2",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    return os.environ | own | logs.for_child()
