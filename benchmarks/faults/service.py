"""The service as a victim: it can be killed in parts, and started again at the same address."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from benchmarks.live.service import Service
from benchmarks.ports import free_port


class Victim(Service):
    """`omnidrop serve` with a durable log in ``folder``, at one port through all its lives."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        fixed = {
            "server.port": str(free_port()),
            "answers.log": f"sqlite:///{folder / 'events.db'}",
            "media.grace_s": "60",
            "server.client_sessions": "64",
            "server.client_questions_per_minute": "6000",
        }
        super().__init__(fixed | dict(settings))

    @property
    def pid(self) -> int:
        """Process id of the gateway."""
        return self._process.pid

    @property
    def engine_pid(self) -> int | None:
        """Process id of the engine; None while there is none."""
        try:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        except OSError:
            return None
        for child in map(int, children):
            if name_of(child) == "omnidrop-engine":  # beside it a spare waits
                return child
        return None

    @property
    def sockets(self) -> int:
        """Sockets that the gateway has open."""
        found = 0
        for entry in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                found += str(entry.readlink()).startswith("socket:")
            except FileNotFoundError:  # closed meanwhile
                continue
        return found

    @property
    def gateway_bytes(self) -> int:
        """Memory of the gateway alone."""
        return resident_bytes(self.pid)

    @property
    def threads(self) -> int:
        """Threads of the gateway."""
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    def kill_engine(self) -> None:
        """Raises ProcessLookupError while there is no engine."""
        pid = self.engine_pid
        if pid is None:
            raise ProcessLookupError("no engine runs")
        os.kill(pid, signal.SIGKILL)

    async def kill(self) -> int | None:
        """Kill the gateway; returns the process id of the engine that it leaves behind."""
        orphan = self.engine_pid
        self._process.kill()
        await self._process.wait()
        await self._reader
        self.url = ""
        return orphan

    async def start_again(self) -> None:
        """Raises ServiceFailed."""
        await self.__aenter__()


def resident_bytes(pid: int) -> int:
    """Memory that a process holds; 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGESIZE")


def command_line(pid: int) -> str:
    """Of a process; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def name_of(pid: int) -> str:
    """What a process calls itself; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


async def gone(pid: int, limit_s: float) -> bool:
    """Whether a process ends within ``limit_s`` seconds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + limit_s
    while command_line(pid):
        if loop.time() > end:
            return False
        await asyncio.sleep(0.05)
    return True
