"""The real service, started as its users start it, on a free loopback port."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

_URL = re.compile(r"OmniDrop Live is at (http://\S+)")
_START_S, _STOP_S = 300.0, 60.0
_LINES = 200


class ServiceFailed(RuntimeError):
    """The service did not start."""


class Service:
    """`omnidrop serve` in a process of its own; use it as an async context manager.

    Args:
        settings: keys of its configuration, such as `{"engine.model": "nano"}`.

    Attributes:
        url: where it is, once entered.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        named = {f"OMNIDROP_{key.upper().replace('.', '__')}": value for key, value in settings.items()}
        ours = {"OMNIDROP_SERVER__PORT": "0", "OMNIDROP_ANSWERS__LOG": "memory"}
        self._environment = os.environ | ours | named
        self._lines: deque[str] = deque(maxlen=_LINES)
        self.url = ""

    async def __aenter__(self) -> Self:
        """Start; raises ServiceFailed with the end of its output."""
        command = [sys.executable, "-m", "stream_service", "serve"]
        pipe, joined = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
        self._process = await asyncio.create_subprocess_exec(
            *command, env=self._environment, stdout=pipe, stderr=joined
        )
        self._up = asyncio.Event()
        self._reader = asyncio.create_task(self._read())
        try:
            async with asyncio.timeout(_START_S):
                await self._up.wait()
        except TimeoutError:
            self._process.kill()
        if not self.url:
            await self._reader
            await self._process.wait()  # its output ends a moment before it does
            raise ServiceFailed("the service did not start:\n" + "".join(self._lines))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if error is not None:
            sys.stderr.writelines(self._lines)
        self._process.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reader

    @property
    def resident_bytes(self) -> int:
        """Memory of the gateway and its children now, shared pages counted in each."""
        return sum(_resident_pages(pid) for pid in _family(self._process.pid)) * os.sysconf("SC_PAGESIZE")

    async def _read(self) -> None:
        """Drain its output to the end, so that it never waits for us."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            text = line.decode(errors="replace")
            self._lines.append(text)
            if (found := _URL.search(text)) is not None:
                self.url = found[1]
                self._up.set()
        self._up.set()


def _family(pid: int) -> Iterator[int]:
    """A process and all below it, as Linux knows them."""
    yield pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield from _family(int(child))


def _resident_pages(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
