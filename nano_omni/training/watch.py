"""What a step's time goes to: the profiler's tables of two steps of each stage, early in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from nano_omni.training.trainer import Stage

_STEPS = 2  # of which one draws scenes anew
_ROWS = 25


class Watch:
    """Writes `profile-STAGE.txt` of two steps: kernels by their time on the device, then by the host's time.

    Args:
        out: directory.
        after: steps of a stage before those that are looked at; 0: never look.
    """

    def __init__(self, out: Path, after: int) -> None:
        self._out, self._after = out, after
        self._seen = Counter[Stage]()
        self._running: tuple[profile, Stage] | None = None

    def before(self, stage: Stage) -> None:
        """To be called before each step."""
        if not self._after:
            return
        if self._running is not None and self._seen[self._running[1]] >= self._after + _STEPS:
            self._write(*self._running)
            self._running = None
        if self._running is None and self._seen[stage] == self._after:
            self._running = profile(activities=_activities()), stage
            self._running[0].start()
        self._seen[self._running[1] if self._running is not None else stage] += 1

    def _write(self, running: profile, stage: Stage) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        running.stop()
        found = running.key_averages()
        orders = ["self_cpu_time_total"]
        if torch.cuda.is_available():
            orders = ["self_device_time_total", *orders]
        tables = [found.table(sort_by=order, row_limit=_ROWS, max_name_column_width=90) for order in orders]
        (self._out / f"profile-{stage.name}.txt").write_text("\n\n".join(tables))


def _activities() -> list[ProfilerActivity]:
    return [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
