"""The service as a process of its own, and a TCP relay before it whose connections a test can cut."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.ports import free_port
from nano_omni import weights_dir

ROOT = Path(__file__).parents[2]
OTHER_MODEL = "OMNIDROP_ENGINE__MODEL"
TRAINED = OTHER_MODEL not in os.environ and (weights_dir() / "model.safetensors").is_file()
"""Whether the built-in model answers; any other one, random weights for instance, may answer what it likes."""


class Service:
    """``omnidrop serve`` on a port that stays the same over restarts."""

    def __init__(self, log: Path, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = log
        self._events = log.with_name("events.db")
        self._settings = {
            "OMNIDROP_SERVER__PORT": str(self.port),
            "OMNIDROP_ENGINE__STANDBY": "false",  # none is needed, and it would cost seconds of a core
            "OMNIDROP_ANSWERS__LOG": f"sqlite:///{self._events}",
            **settings,
        }

    def start(self) -> None:
        """Returns once it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "stream_service", "serve"],
                cwd=ROOT,
                env={**os.environ, **self._settings},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        if not self._process.stdout.readline().startswith("OmniDrop Live is at"):
            self._finish()
            raise RuntimeError(f"the service did not start:\n{self._log.read_text()}")

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._finish()

    def kill(self) -> None:
        """As a crash would end it: nothing is said to anyone. The engine ends with its gateway."""
        children = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        self._finish()
        psutil.wait_procs(children)

    def forget(self) -> None:
        """Lose the log of events, while it is not running."""
        for file in self._events.parent.glob(f"{self._events.name}*"):
            file.unlink()

    def _finish(self) -> None:
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    @contextmanager
    def engine_paused(self) -> Iterator[None]:
        """Hold the engine process still, so that an answer lasts as long as a test needs."""
        children = psutil.Process(self._process.pid).children(recursive=True)
        for child in children:
            child.suspend()
        try:
            yield
        finally:
            for child in children:
                with suppress(psutil.NoSuchProcess):
                    child.resume()

    def kill_engine(self) -> None:
        """The engine alone: the service starts another."""
        for child in psutil.Process(self._process.pid).children():
            if child.name() == "omnidrop-engine":
                child.kill()

    def sessions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/v1/sessions").raise_for_status().json()["sessions"]
        return found

    def end_sessions(self) -> None:
        for session in self.sessions():
            httpx.delete(f"{self.url}/v1/sessions/{session['session']}")


class Relay:
    """Passes TCP connections on to ``port``; media goes by UDP and is not touched."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._open: set[asyncio.StreamWriter] = set()
        self._passing = True
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Abort every connection, and new ones too until :meth:`mend`."""
        self._do(self._cut())

    def mend(self) -> None:
        self._passing = True

    def close(self) -> None:
        self.cut()
        self._server.close()
        self._do(asyncio.sleep(0))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _cut(self) -> None:
        self._passing = False
        for writer in self._open:
            writer.transport.abort()
        me = asyncio.current_task()
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not me), return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._passing:
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            self._open.discard(writer)
            return
        self._open.add(far_writer)
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        self._open -= {writer, far_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()
