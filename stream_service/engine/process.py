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

from stream_service.engine.channel import Channel
from stream_service.engine.loop import EngineLoop
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
    Open,
    Opened,
    Ready,
    Start,
    Stop,
)
from stream_service.engine.model import load
from stream_service.errors import OmniDropError
from stream_service.types import CancelReason

BEAT_S = 1.0
"""Seconds between signs of life."""
_PR_SET_PDEATHSIG = 1


def main(fd: int, parent: int) -> int:
    """Serves one gateway over the socket ``fd`` until told to stop. Returns the exit status."""
    die_with(parent)
    channel = Channel(socket.socket(fileno=fd))
    start = next(channel.receive(60.0))
    assert isinstance(start, Start)
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


class Server:
    """Commands in, batches run, events out."""

    def __init__(self, channel: Channel, engine: EngineLoop) -> None:
        self._channel = channel
        self._engine = engine
        self._beat = float("-inf")
        self._stop_at: float | None = None

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
            busy = self._engine.run_once()
            if self._stop_at is not None and time.monotonic() >= self._stop_at:
                self._engine.cancel_all(CancelReason.SHUTDOWN)
            self._tell()
            if self._stop_at is not None and not self._engine.questions():
                return

    def _obey(self, command: Command) -> None:
        match command:
            case Feed(window):
                self._engine.feed(window)
            case Asked(question, closing, at):
                self._engine.ask(question, closing, at)
            case Cancel(session, question, reason):
                self._engine.cancel(session, question, reason)
            case Open(session):
                self._open(command)
            case Close(session):
                self._engine.close(session)
                self._tell()
                self._channel.send(Closed(session))
            case Stop(drain_s):
                self._stop_at = time.monotonic() + drain_s
            case Start():
                raise RuntimeError("started twice")

    def _open(self, command: Open) -> None:
        try:
            self._engine.open(command.session, command.settings, rejoin=command.rejoin)
        except OmniDropError as error:
            self._channel.send(Opened(command.session, ErrorFacts.of(error)))
        else:
            self._channel.send(Opened(command.session))

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


def resident_bytes() -> int:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
