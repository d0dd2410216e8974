"""Run the benchmark: see `python -m benchmarks.sensitivity --help` and benchmarks/README.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.live.voice import NoVoice
from benchmarks.quality.arguments import add_common, positive, require_seeds, shares
from benchmarks.quality.candidates import Candidates
from benchmarks.quality.jobs import REFERENCE, Job
from benchmarks.quality.outcomes import Unreachable
from benchmarks.quality.papers import Paper
from benchmarks.report import decoding, environment, fingerprint, model_path, print_json, progress
from benchmarks.sensitivity.rows import Marks, as_table, rows
from benchmarks.sensitivity.spoken import require_spoken, speak
from benchmarks.sensitivity.wordings import CLEAN, WORDINGS, Sheet, make_sheet
from nano_omni.world import SPLITS
from pruner import LiveModel, PrunerError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status: 0 done, 1 the model cannot be used, or not so."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        require_seeds(chosen.seed, chosen.streams)
        jobs = [Job(REFERENCE), *(Job("live", deep_share=share) for share in shares(chosen.deep_share))]
    except ValueError as error:
        parser.error(str(error))
    torch.set_num_threads(chosen.threads)
    try:
        result = run(chosen, jobs)
    except (PrunerError, NoVoice) as error:
        print(f"benchmarks.sensitivity: {error}", file=sys.stderr)
        return 1
    print(as_table(result["rows"]))
    print_json(result)
    return 0


def run(chosen: argparse.Namespace, jobs: Sequence[Job]) -> dict[str, Any]:
    """Put the same facts in all wordings to all methods, and say how well they were answered.

    Raises:
        PrunerError: the model cannot be loaded, or takes no speech where that is wanted.
        NoVoice: speech is wanted and nobody can speak.
    """
    began = time.monotonic()
    model = LiveModel.load(model_path(chosen.model), device=chosen.device)
    speech = chosen.guidance == "speech"
    if speech:
        require_spoken(model)
    seeds = range(chosen.seed, chosen.seed + chosen.streams)
    sheets = [make_sheet(seed, chosen.windows, chosen.split, chosen.questions) for seed in seeds]
    marks = Marks()
    for start in range(0, len(sheets), chosen.batch):
        _answer(model, chosen, sheets[start : start + chosen.batch], jobs, marks, speech=speech)
        progress(f"streams {start} to {min(start + chosen.batch, len(sheets)) - 1}")
    return {
        "bench": "sensitivity",
        "split": chosen.split,
        "windows": chosen.windows,
        "seed": chosen.seed,
        "rows": rows(marks),
        "streams": chosen.streams,
        "questions": chosen.questions,
        "guidance": chosen.guidance,
        "model": chosen.model,
        "weights": fingerprint(model_path(chosen.model)),
        "decoding": decoding(model),
        "seconds": round(time.monotonic() - began, 1),
        **environment(chosen.device),
    }


def _answer(
    model: LiveModel,
    chosen: argparse.Namespace,
    sheets: Sequence[Sheet],
    jobs: Sequence[Job],
    marks: Marks,
    *,
    speech: bool,
) -> None:
    """All jobs on all wordings of a few streams, or on their speech, which has no words that could be misheard."""
    candidates = Candidates(model, [Paper(sheet.script, sheet.asked[CLEAN]) for sheet in sheets], chosen.device)
    for job in jobs:
        for wording in WORDINGS:
            if speech and (wording.errors or job.policy == REFERENCE):
                continue
            asked = [sheet.asked[wording] for sheet in sheets]
            spoken = None
            if speech:
                with tempfile.TemporaryDirectory() as folder:
                    spoken = speak(asked, Path(folder))
            outcome = candidates.run(job, asked=asked, spoken=spoken)
            assert not isinstance(outcome, Unreachable), "deep shares are met as nearly as possible"
            for sheet, qas, done in zip(sheets, asked, outcome, strict=True):
                marks.add(job, wording, sheet, qas, [one.text for one in done.predictions])
    candidates.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sensitivity",
        description="Accuracy over paraphrases and over transcripts with word errors: the same facts in each wording.",
    )
    add_common(parser)
    add = parser.add_argument
    add("--streams", type=positive, default=10, help="streams, of consecutive seeds (%(default)s)")
    add("--split", choices=SPLITS, default="dense", help="kind of streams (%(default)s)")
    add("--windows", type=positive, default=8, help="length of a stream in windows of 2 s (%(default)s)")
    add("--questions", type=positive, default=16, help="facts of each stream, asked at its end (%(default)s)")
    add("--deep-share", default="0.3,0.1", help="of the live form, by commas; all tokens are a row too (%(default)s)")
    add(
        "--guidance",
        choices=("text", "speech"),
        default="text",
        help="what guides pruning and is asked: the transcript, or the speech's own tokens, spoken by flite, where the "
        "model has learned to hear questions (%(default)s)",
    )
    add("--batch", type=positive, default=4, help="streams worked on at a time; 32 on a GPU (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
