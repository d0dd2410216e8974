"""Outcomes on disk, so that a long run can be broken off and taken up again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.quality.jobs import Job
from benchmarks.quality.outcomes import Answered, Outcome, Prediction, Unreachable

__all__ = ["Journal", "JournalError"]


class JournalError(ValueError):
    """A journal that belongs to another run, or is no journal."""


class Journal:
    """Outcomes by job and stream; appended to a file, if there is one, as soon as they are known.

    Args:
        path: of the file; None keeps them in memory only.
        run: what must be equal for outcomes to be comparable (split, windows, model …).

    Raises:
        JournalError: the file was written by a run with other settings.
    """

    def __init__(self, path: Path | None, run: dict[str, Any]) -> None:
        self._path = path
        self._outcomes: dict[tuple[str, int], Outcome] = {}
        self._solved: dict[str, float | Unreachable] = {}
        if path is None:
            return
        if path.exists() and path.stat().st_size:
            self._read(path, run)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._append({"run": run})

    def __contains__(self, key: tuple[Job, int]) -> bool:
        return (key[0].key, key[1]) in self._outcomes

    def add(self, job: Job, stream: int, outcome: Outcome) -> None:
        """Note what came of a job on the stream with this seed."""
        self._outcomes[job.key, stream] = outcome
        kind = "unreachable" if isinstance(outcome, Unreachable) else "answered"
        self._append({"job": job.key, "stream": stream, kind: asdict(outcome)})

    def solve(self, job: Job, retention: float | Unreachable) -> None:
        """Note what a job's method must be set to, so that a run taken up again sets it to the same."""
        self._solved[job.key] = retention
        self._append({"solved": job.key, **_solution(retention)})

    def solved(self, job: Job) -> float | Unreachable | None:
        """What `solve` noted; None for nothing yet."""
        return self._solved.get(job.key)

    def outcomes(self, job: Job, streams: Sequence[int]) -> list[Outcome]:
        """What came of a job on each of these streams; raises KeyError where that is not known."""
        return [self._outcomes[job.key, stream] for stream in streams]

    def _append(self, line: dict[str, Any]) -> None:
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    def _read(self, path: Path, run: dict[str, Any]) -> None:
        whole = path.read_text(encoding="utf-8")
        # a run that was killed may have left half a line: it is cut off, and computed again
        complete = whole[: whole.rfind("\n") + 1]
        try:
            lines = [json.loads(line) for line in complete.splitlines()]
            found = lines[0]["run"]
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise JournalError(f"{path} is not a journal of this benchmark: name another file with --out") from error
        if found != run:
            differs = ", ".join(key for key in run if found.get(key) != run[key])
            raise JournalError(f"{path} was written with another {differs}: name another file with --out")
        try:
            for line in lines[1:]:
                self._take(line)
        except (KeyError, TypeError) as error:
            raise JournalError(f"{path} holds what no journal does: name another file with --out") from error
        if complete != whole:
            path.write_text(complete, encoding="utf-8")

    def _take(self, line: dict[str, Any]) -> None:
        if "solved" in line:
            solution = line.get("unreachable")
            self._solved[line["solved"]] = line["retention"] if solution is None else Unreachable(**solution)
        elif "unreachable" in line:
            self._outcomes[line["job"], line["stream"]] = Unreachable(**line["unreachable"])
        else:
            self._outcomes[line["job"], line["stream"]] = _answered(line["answered"])


def _solution(retention: float | Unreachable) -> dict[str, Any]:
    return {"unreachable": asdict(retention)} if isinstance(retention, Unreachable) else {"retention": retention}


def _answered(found: dict[str, Any]) -> Answered:
    predictions = [Prediction(**{**one, "alive": tuple(one["alive"])}) for one in found["predictions"]]
    return Answered(tuple(predictions), tuple(map(tuple, found["survivors"])), tuple(found["raw"]))
