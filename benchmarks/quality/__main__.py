"""Run the benchmark: see `python -m benchmarks.quality --help` and benchmarks/README.md."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.quality.arguments import Arguments, parse
from benchmarks.quality.candidates import Candidates
from benchmarks.quality.compare import comparisons, comparisons_table
from benchmarks.quality.dumping import Dump
from benchmarks.quality.equal import Equaliser
from benchmarks.quality.grids import Setting
from benchmarks.quality.jobs import Job
from benchmarks.quality.journal import Journal, JournalError
from benchmarks.quality.outcomes import Unreachable
from benchmarks.quality.papers import Paper, make_paper
from benchmarks.quality.scores import as_table, row, score
from benchmarks.report import decoding, environment, fingerprint, model_path, print_json, progress
from pruner import LiveModel, PrunerError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status: 0 done, 1 the model or the journal cannot be used."""
    chosen = parse(arguments)
    torch.set_num_threads(chosen.threads)
    try:
        model = LiveModel.load(model_path(chosen.model), device=chosen.device)
        for setting in chosen.settings:
            result = run(chosen, setting, model)
            print(as_table(result["rows"]))
            if result["comparisons"]:
                print(comparisons_table(result["comparisons"]))
            print_json(result)
    except (PrunerError, JournalError) as error:
        print(f"benchmarks.quality: {error}", file=sys.stderr)
        return 1
    return 0


def run(chosen: Arguments, setting: Setting, model: LiveModel) -> dict[str, Any]:
    """Answer all questions of a setting with all its methods, and say how well.

    Raises:
        JournalError: the journal belongs to another run.
    """
    began = time.monotonic()
    same = {
        "split": setting.split,
        "windows": setting.windows,
        "questions": setting.questions,
        "phrasing": chosen.phrasing,
        "weights": fingerprint(model_path(chosen.model)),
        "decoding": decoding(model),
    }
    journal = Journal(chosen.journal(setting), same)
    directory = chosen.survivors(setting)
    dump = None if directory is None else Dump(directory)
    seeds = range(chosen.seed, chosen.seed + setting.streams)
    papers = [make_paper(seed, setting.windows, setting.split, setting.questions, chosen.phrasing) for seed in seeds]
    _Run(model, setting, papers, journal, dump, chosen).answer()
    scored = []
    for job, streams in setting.rows:
        solved = journal.solved(job)
        set_to = solved if isinstance(solved, float) else None
        scored.append(score(job, journal.outcomes(job, seeds[:streams]), papers[:streams], set_to=set_to))
    if dump is not None:
        dump.predictions(scored)
    head = {"bench": "quality", "split": setting.split, "windows": setting.windows, "seed": chosen.seed}
    rows = [row(one, scored[0]) for one in scored]
    more = {"comparisons": comparisons(scored), "streams": setting.streams, "model": chosen.model, **same}
    took = {"seconds": round(time.monotonic() - began, 1), **environment(chosen.device)}
    return {**head, "rows": rows, **more, **took}


@dataclass(frozen=True, slots=True)
class _Run:
    """Whatever the journal does not know yet, a few streams at a time."""

    model: LiveModel
    setting: Setting
    papers: Sequence[Paper]
    journal: Journal
    dump: Dump | None
    chosen: Arguments

    def answer(self) -> None:
        """All rows of the setting."""
        for start in range(0, len(self.papers), self.chosen.batch):
            some = self.papers[start : start + self.chosen.batch]
            left = [(job, those) for job, streams in self.setting.rows if (those := self._left(job, start, streams))]
            if not left:
                continue
            candidates = Candidates(self.model, some, self.chosen.device)
            if any(job.model is not None and self.journal.solved(job) is None for job, _ in left):
                self._solve(candidates, some[0])
            for job, those in left:
                began = time.monotonic()
                self._note(job, some, those, candidates)
                progress(f"streams {start} to {start + len(some) - 1}: {job.key} in {time.monotonic() - began:.1f} s")
            candidates.close()

    def _left(self, job: Job, start: int, streams: int) -> list[int]:
        """Which of a batch's streams still need this row."""
        there = range(start, min(start + self.chosen.batch, streams))
        return [at - start for at in there if not self._known(job, self.papers[at].script.seed)]

    def _known(self, job: Job, seed: int) -> bool:
        if (job, seed) not in self.journal:
            return False
        (outcome,) = self.journal.outcomes(job, [seed])
        return self.dump is None or isinstance(outcome, Unreachable) or self.dump.holds(job, seed)

    def _solve(self, candidates: Candidates, paper: Paper) -> None:
        """Set rivals so that they equal live rows; once a run, on its first stream."""
        open_jobs = [job for job, _ in self.setting.rows if job.model is not None and self.journal.solved(job) is None]
        if not open_jobs:
            return
        equaliser = Equaliser(self.model, candidates.windows[0], paper.asked[0].text)
        for job in open_jobs:
            self.journal.solve(job, equaliser.solve(job))

    def _note(self, job: Job, some: Sequence[Paper], those: Sequence[int], candidates: Candidates) -> None:
        solved = self.journal.solved(job)
        seeds = [some[at].script.seed for at in those]
        if isinstance(solved, Unreachable):
            for seed in seeds:
                self.journal.add(job, seed, solved)
            return
        outcome = candidates.run(job, those, retention=solved)
        if isinstance(outcome, Unreachable):
            for seed in seeds:
                self.journal.add(job, seed, outcome)
            return
        for seed, done in zip(seeds, outcome, strict=True):
            if self.dump is not None:
                self.dump.survivors(job, seed, done.survivors)
            self.journal.add(job, seed, done.answered)


if __name__ == "__main__":
    sys.exit(main())
