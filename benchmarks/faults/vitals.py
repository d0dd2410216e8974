"""What the service's two processes hold, sampled while a scenario runs, and whether it stays flat."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from types import TracebackType
from typing import Self

import numpy as np

from benchmarks.faults.service import Victim, resident_bytes
from clients.python import Api, ConnectionLost

_MIB = 2**20
_EVERY_S = 5.0
_SAMPLES = 20
_TRIES = 3
_WARM = 0.25
_TASKS = re.compile(r"^omnidrop_gateway_tasks (\S+)$", re.MULTILINE)

FLAT_AN_HOUR = 0.05
"""Flat: after the first quarter of the time (the warm-up: caches, allocators, the memory of the session that stays),
the line fitted through a process's resident memory rises by less than this share of it in an hour."""
SHORT_S, SETTLING_MIB = 1800.0, 48.0
"""Over less time than this a line says little, for the engine's memory goes up and down by 50 MiB: there, rising by
less than so much counts as flat. What leaks a session every few seconds grows by hundreds."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The service at one moment, ``at_s`` seconds after the first."""

    at_s: float
    gateway_mib: float
    engine_mib: float
    threads: float
    sockets: float
    tasks: float


class Vitals:
    """Samples a service in the background; use it as an async context manager.

    Args:
        minutes: how long the scenario takes, about: short ones are sampled more often than every 5 s.
    """

    def __init__(self, victim: Victim, api: Api, minutes: float) -> None:
        self._victim, self._api = victim, api
        self._every_s = min(_EVERY_S, 60 * minutes / _SAMPLES)
        self.samples: list[Sample] = []

    async def __aenter__(self) -> Self:
        self._began = asyncio.get_running_loop().time()
        await self.sample()
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()  # raises what ended it sooner: samples would be missing

    async def sample(self) -> Sample:
        """The service now, which is also kept."""
        victim = self._victim
        tasks = _TASKS.search(await self._metrics())
        assert tasks is not None, "the service does not count its tasks"
        sample = Sample(
            round(asyncio.get_running_loop().time() - self._began, 1),
            round(resident_bytes(victim.pid) / _MIB, 1),
            round(resident_bytes(victim.engine_pid or 0) / _MIB, 1),
            victim.threads,
            victim.sockets,
            float(tasks[1]),
        )
        self.samples.append(sample)
        return sample

    async def _metrics(self) -> str:
        for _ in range(_TRIES):
            try:
                return (await self._api.request("GET", "/metrics")).text
            except ConnectionLost as error:  # a server may close an idle connection at the moment of its next use
                last = error
        raise last

    async def settles(self, before: Sample, spare: int, limit_s: float) -> Sample:
        """Wait until there are no more tasks and sockets than ``before`` and a few; the last sample when not."""
        now = await self.sample()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while not holds_no_more(now, before, spare):
                    await asyncio.sleep(self._every_s)
                    now = await self.sample()
        return now

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            await self.sample()


def holds_no_more(now: Sample, before: Sample, spare: int) -> bool:
    """Whether tasks and sockets are at most ``spare`` more than ``before``."""
    return now.tasks <= before.tasks + spare and now.sockets <= before.sockets + spare


@dataclass(frozen=True, slots=True)
class Growth:
    """How one process's memory went in the ``seconds`` after the warm-up: its mean, and by how much a line rises."""

    mean_mib: float
    mib: float
    seconds: float

    @property
    def mib_an_hour(self) -> float:
        return self.mib / self.seconds * 3600

    @property
    def flat(self) -> bool:
        if self.seconds < SHORT_S and self.mib < SETTLING_MIB:
            return True
        return self.mib_an_hour < FLAT_AN_HOUR * self.mean_mib


def growth(samples: Sequence[Sample], process: str) -> Growth:
    """Of the ``gateway`` or the ``engine``. Raises ValueError for fewer than two samples after the warm-up."""
    end = samples[-1].at_s
    late = [sample for sample in samples if sample.at_s >= _WARM * end]
    at = np.array([sample.at_s for sample in late])
    if len(late) < 2 or at[0] == at[-1]:
        raise ValueError("too few samples to fit a line through")
    held = np.array([getattr(sample, f"{process}_mib") for sample in late])
    rise, _ = np.polyfit(at - at.mean(), held, 1)
    seconds = float(at[-1] - at[0])
    return Growth(float(held.mean()), float(rise) * seconds, seconds)


def by_minute(samples: Sequence[Sample]) -> dict[str, list[float]]:
    """Columns: the first sample and the newest of each minute begun since."""
    newest = {-1: samples[0]} | {int(sample.at_s // 60): sample for sample in samples[1:]}
    rows = [asdict(sample) for sample in newest.values()]
    return {field.name: [row[field.name] for row in rows] for field in fields(Sample)}
