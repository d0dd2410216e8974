"""What a run says about itself while it goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from nano_omni.training.batch import Batch
from nano_omni.training.tally import Tally
from nano_omni.training.trainer import Stage

COUNTED_EVERY = 10  # steps whose answers are counted


@dataclass
class Log:
    """One JSON line every `every` steps; exact answers are counted on the training batches, never repeated."""

    path: Path
    every: int
    began: float
    losses: list[Tensor] = field(default_factory=list)
    pending: list[tuple[Batch, Tensor]] = field(default_factory=list)
    waited: float = 0.0
    clock: Callable[[], float] = time.monotonic
    last: float = 0.0

    def __post_init__(self) -> None:
        self.last = self.clock()

    def add(self, step: int, moment: float, stage: Stage, batch: Batch, loss: Tensor, right: Tensor | None) -> None:
        """Note one step; nothing is fetched from the device until a line is due."""
        self.losses.append(loss)
        if right is not None and step % COUNTED_EVERY == 0:
            self.pending.append((batch, right))
        if step % self.every == 0:
            self._write(step, moment, stage)

    def _write(self, step: int, moment: float, stage: Stage) -> None:
        tally = Tally()
        for batch, right in self.pending:
            tally.add(batch, batch.labels.numpy(), right.cpu().numpy())
        good, count = tally.total
        now = self.clock()
        line = {
            "step": step,
            "progress": round(moment, 4),
            "stage": stage.name,
            "seconds": round(now - self.began, 1),
            "loss": round(torch.stack(self.losses).mean().item(), 4),
            "exact": round(good / max(count, 1), 4),
            "n": count,
            "ms": round(1e3 * (now - self.last) / self.every, 1),
            "waited_ms": round(1e3 * self.waited / self.every, 1),
            "gib": round(torch.cuda.max_memory_allocated() / 2**30, 1) if torch.cuda.is_available() else 0,
        }
        with self.path.open("a") as file:
            print(json.dumps({**line, "by_category": tally.table()}), file=file)
        print(json.dumps(line), flush=True)
        self.losses, self.pending, self.waited, self.last = [], [], 0.0, now
