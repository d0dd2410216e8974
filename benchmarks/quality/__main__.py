"""Run the benchmark: see `python -m benchmarks.quality --help` and benchmarks/README.md."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.quality.arguments import Arguments, Job, parse
from benchmarks.quality.candidates import Candidates, Unreachable
from benchmarks.quality.journal import Journal, JournalError
from benchmarks.quality.papers import Paper, make_paper
from benchmarks.quality.scores import Scored, as_table, row, score
from benchmarks.report import environment, fingerprint, model_path, print_json, progress
from pruner import LiveModel, PrunerError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status: 0 done, 1 the model or the journal cannot be used."""
    chosen = parse(arguments)
    torch.set_num_threads(chosen.threads)
    try:
        result = run(chosen)
    except (PrunerError, JournalError) as error:
        print(f"benchmarks.quality: {error}", file=sys.stderr)
        return 1
    print(as_table(result["rows"]))
    print_json(result)
    return 0


def run(chosen: Arguments) -> dict[str, Any]:
    """Answer all questions with all methods, and say how well.

    Raises:
        PrunerError: the model cannot be loaded.
        JournalError: the journal belongs to another run.
    """
    began = time.monotonic()
    directory = model_path(chosen.model)
    setting = {
        "split": chosen.split,
        "windows": chosen.windows,
        "questions": chosen.questions,
        "phrasing": chosen.phrasing,
        "weights": fingerprint(directory),
    }
    journal = Journal(chosen.out, setting)
    seeds = range(chosen.seed, chosen.seed + chosen.streams)
    papers = [make_paper(seed, chosen.windows, chosen.split, chosen.questions, chosen.phrasing) for seed in seeds]
    _answer(chosen, directory, journal, papers)
    scored = [score(job, journal.outcomes(job, seeds), papers) for job in chosen.jobs]
    if chosen.dump is not None:
        with chosen.dump.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in dump(scored, papers))
    head = {"bench": "quality", "split": chosen.split, "windows": chosen.windows, "seed": chosen.seed}
    more = {"streams": chosen.streams, "model": chosen.model, **setting}
    took = {"seconds": round(time.monotonic() - began, 1), **environment(chosen.device)}
    return {**head, "rows": _rows(scored, papers), **more, **took}


def dump(scored: Sequence[Scored], papers: Sequence[Paper]) -> Iterator[dict[str, Any]]:
    """Every prediction beside the question it answers."""
    for one in scored:
        target = {"retention": one.job.retention, "deep_share": one.job.deep_share}
        for said, right, paper in zip(one.predictions, one.right, papers[: len(one.right)], strict=True):
            for prediction, mark, qa in zip(said, right, paper.asked, strict=True):
                asked = {"seed": paper.script.seed, **asdict(qa), "right": mark}
                yield {"policy": one.job.policy, "target": target, **asked, "predicted": asdict(prediction)}


def _answer(chosen: Arguments, directory: Path, journal: Journal, papers: Sequence[Paper]) -> None:
    """Whatever the journal does not know yet, a few streams at a time."""
    model: LiveModel | None = None
    for start in range(0, len(papers), chosen.batch):
        some = papers[start : start + chosen.batch]
        open_jobs = [job for job in chosen.jobs if any((job, one.script.seed) not in journal for one in some)]
        if not open_jobs:
            continue
        model = model or LiveModel.load(directory, device=chosen.device)
        candidates = Candidates(model, some, chosen.device)
        for job in open_jobs:
            began = time.monotonic()
            _note(journal, job, some, candidates)
            progress(f"streams {start} to {start + len(some) - 1}: {job.key} in {time.monotonic() - began:.1f} s")
        candidates.close()


def _note(journal: Journal, job: Job, papers: Sequence[Paper], candidates: Candidates) -> None:
    outcome = candidates.run(job)
    for at, paper in enumerate(papers):
        journal.add(job, paper.script.seed, outcome if isinstance(outcome, Unreachable) else outcome[at])


def _rows(scored: Sequence[Scored], papers: Sequence[Paper]) -> list[dict[str, Any]]:
    """The first row is the reference; others are also compared with the live form at the same retention."""
    live = {one.job.retention: one for one in scored if one.job.policy == "live" and one.job.retention and one.count}
    return [
        row(one, papers, scored[0], [live[one.job.retention]] if one.job.retention in live else []) for one in scored
    ]


if __name__ == "__main__":
    sys.exit(main())
