"""Milliseconds by the device's own clock: CUDA events on a GPU, the performance counter elsewhere.

What ends on the host, such as a token that was read, ends by the host's clock: the device may have been given further
work by then, which an event would wait for.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from benchmarks.report import gpu_id

__all__ = ["WARM", "Laps", "Stopwatch", "Times", "clocks"]

WARM = 4
"""Calls on a GPU that do not count: libraries set themselves up, and graphs are recorded by the third at the latest."""
_QUERY = "clocks.sm,clocks.mem,temperature.gpu,power.draw"


@dataclass(frozen=True, slots=True)
class Times:
    """What repeated timings of one thing gave, in milliseconds; `count` of them."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, ms: Sequence[float]) -> Times:
        """Raises ValueError without a timing."""
        if not ms:
            raise ValueError("nothing was timed")
        return cls(median(ms), min(ms), max(ms), len(ms))


class Laps:
    """Moments of one course of work, noted without making the device wait."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._marks: list[tuple[str, Any]] = []
        _settle(device)
        self._began, self._start = time.perf_counter(), self._now()

    def mark(self, name: str) -> None:
        """The device has been told to do something that is called `name`; it counts until it is done."""
        self._marks.append((name, self._now()))

    def read(self, name: str) -> None:
        """Something that is called `name` is on the host now."""
        self._marks.append((name, time.perf_counter()))

    def done(self) -> list[tuple[str, float]]:
        """What took how many milliseconds after the one before it, in order. Waits for the device."""
        _settle(self._device)
        found, before = [], 0.0
        for name, moment in self._marks:
            at = self._since_start(moment)
            found.append((name, at - before))
            before = at
        return found

    def _since_start(self, moment: Any) -> float:
        if isinstance(moment, float):
            return 1e3 * (moment - self._began)
        span: float = self._start.elapsed_time(moment)
        return span

    def _now(self) -> Any:
        if self._device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event


class Stopwatch:
    """Times calls on a device.

    Args:
        device: where the work is done.
        repeats: how often each thing is timed, after some times that do not count.
    """

    def __init__(self, device: torch.device, repeats: int) -> None:
        self.device, self.repeats = device, repeats

    def laps(self) -> Laps:
        """From now on; the device has nothing else to do."""
        return Laps(self.device)

    def once(self, call: Callable[[], object]) -> float:
        """Milliseconds of one call, work that it leaves to the device included."""
        laps = self.laps()
        call()
        laps.mark("call")
        return laps.done()[0][1]

    def typical(self, call: Callable[[], object], *, repeats: int | None = None) -> Times:
        """After calls that do not count."""
        self.warm(call)
        return Times.of([self.once(call) for _ in range(repeats or self.repeats)])

    def warm(self, call: Callable[[], object]) -> None:
        """Calls that do not count; on a CPU one is enough."""
        for _ in range(WARM if self.device.type == "cuda" else 1):
            call()


def clocks(device: torch.device) -> str | None:
    """Clocks, temperature and power of a GPU now, as nvidia-smi tells them; None where there is nothing to tell."""
    if device.type != "cuda":
        return None
    command = ["nvidia-smi", f"--query-gpu={_QUERY}", "--format=csv,noheader", f"--id={gpu_id(device.index or 0)}"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return told.strip() or None


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
