"""What a GPU holds, sampled while a stream flows, and whether it stays flat."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from benchmarks.report import gpu_id

_EVERY_S = 5.0
_GROWTH = 1.02
"""How much more than in its second quarter a device may hold in the last quarter of the time."""


class DeviceMemory:
    """Samples a GPU's used memory in the background; use it as an async context manager.

    Args:
        device: cpu, of which there is nothing to sample, cuda or cuda:N.

    Attributes:
        mib: MiB used by all processes, one every 5 s.
    """

    def __init__(self, device: str) -> None:
        kind, _, index = device.partition(":")
        self._index = gpu_id(int(index or 0)) if kind == "cuda" else None
        self._task: asyncio.Task[None] | None = None
        self.mib: list[float] = []

    async def __aenter__(self) -> Self:
        if self._index is not None:
            self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def sample(self) -> float | None:
        """MiB used now; None where nvidia-smi does not tell."""
        command = ("nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", f"--id={self._index}")
        try:
            asked = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            told, _ = await asked.communicate()
            return float(told)
        except (OSError, ValueError):
            return None

    async def _watch(self) -> None:
        while True:
            if (mib := await self.sample()) is not None:
                self.mib.append(mib)
            await asyncio.sleep(_EVERY_S)


def is_flat(mib: Sequence[float]) -> bool:
    """Whether the last quarter holds hardly more than the second one; the first is the warm-up. Too few samples tell
    nothing, and are not flat."""
    quarter = len(mib) // 4
    return quarter > 0 and max(mib[-quarter:]) <= _GROWTH * max(mib[quarter : 2 * quarter])
