"""What `--dump DIR` leaves: every prediction beside its question, and which tokens lived at each layer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.quality.jobs import Job
from benchmarks.quality.scores import Scored
from benchmarks.quality.survivors import Survivors, slug

__all__ = ["Dump"]


class Dump:
    """A folder with `predictions.jsonl`, a line a question and row, and npz files (see `survivors`).

    Args:
        directory: made where it is missing.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def holds(self, job: Job, seed: int) -> bool:
        """Whether the survivors of a job on a stream are there."""
        return self._path(job, seed).exists()

    def survivors(self, job: Job, seed: int, survivors: Survivors) -> None:
        """Write those of a job on a stream."""
        survivors.save(self._path(job, seed))

    def predictions(self, scored: Sequence[Scored]) -> None:
        """Write all predictions, in place of those of an earlier run."""
        with (self._directory / "predictions.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in self._lines(scored))

    def _lines(self, scored: Sequence[Scored]) -> Iterator[dict[str, Any]]:
        for one in scored:
            for said, right, paper in zip(one.answered, one.right, one.papers, strict=False):
                seed = paper.script.seed
                told = {"policy": one.job.policy, "target": one.job.targets(), "seed": seed}
                where = {"survivors": str(self._path(one.job, seed).relative_to(self._directory))}
                for at, (prediction, mark, qa) in enumerate(zip(said.predictions, right, paper.asked, strict=True)):
                    asked = {"question": at, **asdict(qa), "right": mark}
                    yield {**told, **asked, "predicted": asdict(prediction), **where}

    def _path(self, job: Job, seed: int) -> Path:
        return self._directory / slug(job.key) / f"{seed}.npz"
