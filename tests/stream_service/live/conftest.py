"""The real service in processes of its own, on a free port, as ``omnidrop serve`` runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

import httpx
import pytest

from nano_omni import weights_dir
from nano_omni.build import build

_URL = re.compile(r"OmniDrop Live is at (http://\S+)")


class Server:
    """``omnidrop serve`` as a child; its output is kept for the failing test's reader."""

    def __init__(self, model: str, *, log: str = "warning", **settings: object) -> None:
        ours = {
            "engine__model": model,
            "engine__threads": 1,
            "engine__standby": False,  # it would cost each test seconds of a core
            "server__port": 0,
            "answers__log": "memory",
        }
        environ = ours | settings
        overrides = {
            f"OMNIDROP_{key.upper()}": value if isinstance(value, str) else json.dumps(value)
            for key, value in environ.items()
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stream_service", "--log", log, "serve"],
            env=os.environ | overrides,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        self.output: list[str] = []
        self._announced = threading.Event()
        self.url = ""
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._reader.start()
        self._announced.wait(180)
        assert self.url, "".join(self.output)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """However a test ends, nothing stays behind."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=60)

    def engine(self) -> int:
        """Process id of the engine."""
        pid = self.process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if Path(f"/proc/{child}/comm").read_text() == "omnidrop-engine\n":
                return int(child)
        raise AssertionError("no engine runs")

    @contextmanager
    def engine_paused(self) -> Iterator[None]:
        """Hold the engine still, so that an answer lasts as long as a test needs."""
        engine = self.engine()
        os.kill(engine, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(engine, signal.SIGCONT)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; its exit status."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the server did not stop: " + "".join(self.output)) from None
        self._reader.join(60)
        return status

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self.output.append(line)
            if found := _URL.search(line):
                self.url = found[1]
                self._announced.set()
        stream.close()
        self._announced.set()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The built-in model, or one of its shape with random weights where none is shipped."""
    if (weights_dir() / "config.json").is_file():
        return "nano"
    path: Path = tmp_path_factory.mktemp("nano-random")
    build(path, seed=0)
    return str(path)


@pytest.fixture(scope="module")
def server(model: str) -> Iterator[Server]:
    """One server for the tests of a module; it must end well."""
    with Server(model) as server:
        yield server
        assert server.stop() == 0, "".join(server.output)
