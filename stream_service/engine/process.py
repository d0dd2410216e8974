"""The engine's process: ``python -m stream_service.engine.process FD PARENT``, started by the gateway only.

It is executed afresh rather than forked or spawned by multiprocessing: nothing of the gateway is imported again, and
its allocator and thread settings come with its environment.
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from stream_service import logs
from stream_service.engine.channel import Channel
from stream_service.engine.libraries import load_ahead
from stream_service.engine.messages import (
    Asked,
    Cancel,
    Close,
    Closed,
    Command,
    ErrorFacts,
    Failed,
    Feed,
    Heartbeat,
    NotResized,
    Open,
    Opened,
    Prepare,
    Prepared,
    Ready,
    Resize,
    Start,
    Stop,
)
from stream_service.engine.packing import PackedWindow
from stream_service.errors import OmniDropError
from stream_service.types import CancelReason

if TYPE_CHECKING:
    from stream_service.engine.loop import EngineLoop

BEAT_S = 1.0
"""Seconds between signs of life."""
_FIRST_S = 60.0
"""Seconds that the gateway may take for its first message."""
_LOOK_S = 0.5
"""Seconds between looks whether the gateway is still there, while the libraries load."""
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


def main(fd: int, parent: int) -> int:
    """Serves one gateway over the socket ``fd`` until told to stop. Returns the exit status."""
    die_with(parent)
    channel = Channel(socket.socket(fileno=fd))
    try:
        start = wait_for_start(channel)
    except (EOFError, ConnectionError):
        return 1
    show_as("omnidrop-engine")
    from stream_service.engine.model import load  # torch: only now, so that a spare can have it in its own time

    try:
        engine, info = load(start.settings, time.monotonic)
    except OmniDropError as error:
        channel.send(Failed(ErrorFacts.of(error)))
        return 2
    gc.collect()
    gc.freeze()
    channel.send(Ready(info))
    try:
        Server(channel, engine).serve()
    except (EOFError, ConnectionError):
        return 1
    return 0


def wait_for_start(channel: Channel) -> Start:
    """What to start with; a spare loads its libraries meanwhile.

    Raises:
        EOFError: the gateway is gone, or needs no spare any more.
    """
    first = next(channel.receive(_FIRST_S))
    if isinstance(first, Prepare):
        show_as("omnidrop-spare")
        loading = load_ahead(first.niceness)
        while loading.is_alive():
            loading.join(_LOOK_S)
            assert not list(channel.receive(0.0)), "a spare is not needed before it says that it is ready"
        channel.send(Prepared())
        first = next(channel.receive(float("inf")))
    assert isinstance(first, Start)
    return first


class Server:
    """Commands in, batches run, events out."""

    def __init__(self, channel: Channel, engine: EngineLoop) -> None:
        self._channel = channel
        self._engine = engine
        self._beat = float("-inf")
        self._stop_at: float | None = None
        self._resizes: list[Resize] = []

    def serve(self) -> None:
        """Returns after a :class:`Stop`, when every question has ended.

        Raises:
            EOFError, ConnectionError: the gateway is gone.
        """
        busy = False
        while True:
            wait = 0.0 if busy else self._beat + BEAT_S - time.monotonic()
            for command in self._channel.receive(wait):
                self._obey(command)
            self._resizes = [command for command in self._resizes if not self._resize(command)]
            busy = self._engine.run_once()
            if self._stop_at is not None and time.monotonic() >= self._stop_at:
                self._engine.cancel_all(CancelReason.SHUTDOWN)
            self._tell()
            if self._stop_at is not None and not self._engine.questions():
                return

    def _obey(self, command: Command) -> None:
        match command:
            case Feed(window):
                self._engine.feed(window.unpack() if isinstance(window, PackedWindow) else window)
            case Asked(question, closing, at, sent):
                self._engine.ask(question, closing, at, sent)
            case Cancel(session, question, reason):
                self._engine.cancel(session, question, reason)
            case Open(session):
                self._open(command)
            case Resize():
                self._resizes.append(command)
            case Close(session):
                self._engine.close(session)
                self._tell()
                self._channel.send(Closed(session))
            case Stop(drain_s):
                self._stop_at = time.monotonic() + drain_s
            case Prepare() | Start():
                raise RuntimeError("started twice")

    def _open(self, command: Open) -> None:
        try:
            session_bytes = self._engine.open(command.session, command.settings, rejoin=command.rejoin)
        except OmniDropError as error:
            self._channel.send(Opened(command.session, ErrorFacts.of(error)))
        else:
            self._channel.send(Opened(command.session, None, session_bytes))

    def _resize(self, command: Resize) -> bool:
        """Whether the wish was granted or refused; one that comes during an answer has to wait for its end."""
        try:
            done = self._engine.resize(command.session, command.budget)
        except OmniDropError as error:
            self._channel.send(NotResized(command.session, ErrorFacts.of(error)))
            return True
        self._tell()
        return done

    def _tell(self) -> None:
        for event in self._engine.take_events():
            self._channel.send(event)
        now = time.monotonic()
        if now >= self._beat + BEAT_S:
            self._beat = now
            self._channel.send(Heartbeat(self._engine.stats(resident_bytes())))


def die_with(parent: int) -> None:
    """Ties this process to ``parent``: killed when it dies, deaf to the signals that a terminal sends to both."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("the gateway is gone")


def show_as(name: str) -> None:
    """Shows the operator (``ps -o comm``) what this process is; at most 15 characters."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


def resident_bytes() -> int:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    logs.inherit()
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
