"""Run the benchmark: see `python -m benchmarks.long --help` and benchmarks/README.md."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import torch

from benchmarks.long.forgetting import RULES, chosen_rules
from benchmarks.long.scores import as_table, curve, recall_rows, targets, targets_table
from benchmarks.long.sitting import Answer, Sitting, Vital, as_line
from benchmarks.quality.arguments import add_common, positive, require_seeds, shares
from benchmarks.report import decoding, environment, fingerprint, model_path, print_json, progress
from nano_omni.world.long import AGES, LongStream
from nano_omni.world.questions import Phrasing
from pruner import LiveModel, PrunerError, TurnOptions


class ResumeError(ValueError):
    """A file of answers that belongs to another run."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status: 0 done, 1 the model or the file of answers cannot be used."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        require_seeds(chosen.seed, chosen.streams)
        _streams(chosen, [chosen.seed])
        rules = chosen_rules(chosen.rules)
        (deep_share,) = shares(chosen.deep_share)
    except ValueError as error:
        parser.error(str(error))
    torch.set_num_threads(chosen.threads)
    try:
        result = run(chosen, rules, deep_share)
    except (PrunerError, ResumeError) as error:
        print(f"benchmarks.long: {error}", file=sys.stderr)
        return 1
    print(as_table(result["rows"]))
    print("in brackets the 95 % interval, in parentheses the share of the questions' windows still represented")
    print(targets_table(result["targets"]))
    print_json(result)
    return 0


def run(chosen: argparse.Namespace, rules: Sequence[str], deep_share: float) -> dict[str, Any]:
    """Play all streams, and say what was remembered.

    Raises:
        PrunerError: the model cannot be loaded, or the budget is too small.
        ResumeError: the file of answers belongs to another run.
    """
    began = time.monotonic()
    model = LiveModel.load(model_path(chosen.model), device=chosen.device)
    turn = TurnOptions(deep_share=deep_share)
    same = {
        "minutes": chosen.minutes,
        "moments": _numbers(chosen.moments),
        "ages": _numbers(chosen.ages),
        "per_age": chosen.per_age,
        "phrasing": chosen.phrasing,
        "budget": chosen.budget,
        "deep_share": deep_share,
        "commit": chosen.commit,
        "rules": list(rules),
        "weights": fingerprint(model_path(chosen.model)),
        "decoding": decoding(model),
    }
    sitting = Sitting(
        model.model,
        rules,
        budget=chosen.budget,
        turn=turn,
        commit=chosen.commit,
        timed=_numbers(chosen.timed) or [],
        repeats=chosen.repeats,
    )
    found, known = _resume(chosen.out, same)
    seeds = [seed for seed in range(chosen.seed, chosen.seed + chosen.streams) if seed not in known]
    for start in range(0, len(seeds), chosen.batch):
        some = seeds[start : start + chosen.batch]
        found += _play(sitting, chosen, some)
    answers = [one for one in found if isinstance(one, Answer)]
    vitals = [one for one in found if isinstance(one, Vital)]
    return {
        "bench": "long",
        "seed": chosen.seed,
        "streams": chosen.streams,
        "rows": recall_rows(answers, vitals),
        "targets": targets(answers, vitals, sitting.computed_bytes),
        "computed_bytes": sitting.computed_bytes,
        "curve": curve(vitals),
        "model": chosen.model,
        **same,
        "seconds": round(time.monotonic() - began, 1),
        **environment(chosen.device),
    }


def _play(sitting: Sitting, chosen: argparse.Namespace, seeds: Sequence[int]) -> list[Answer | Vital]:
    found: list[Answer | Vital] = []
    began = time.monotonic()
    for one in sitting.play(_streams(chosen, seeds), chosen.device):
        found.append(one)
        if isinstance(one, Vital) and not one.minute % 10:
            progress(f"{one.rule} {one.seed}: minute {one.minute}, {one.resident_mib:.0f} MiB resident")
    progress(f"streams {seeds[0]} to {seeds[-1]} in {time.monotonic() - began:.0f} s")
    if chosen.out is not None:
        with chosen.out.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(as_line(one)) + "\n" for one in found))
            file.write(json.dumps({"kind": "done", "seeds": list(seeds)}) + "\n")
    return found


def _resume(path: Path | None, run: dict[str, Any]) -> tuple[list[Answer | Vital], set[int]]:
    """What a file of answers holds of finished streams; begins the file where there is none."""
    if path is None:
        return [], set()
    if not path.exists() or not path.stat().st_size:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"run": run}) + "\n", encoding="utf-8")
        return [], set()
    whole = path.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in whole[: whole.rfind("\n") + 1].splitlines()]
    if lines[0].get("run") != run:
        raise ResumeError(f"{path} was written with other settings: name another file with --out")
    known = {seed for line in lines if line.get("kind") == "done" for seed in line["seeds"]}
    finished = [line for line in lines if line.get("seed") in known]
    # what a killed run left of an unfinished stream goes: the stream is played again
    kept = [lines[0], *finished, {"kind": "done", "seeds": sorted(known)}]
    path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    return [_found(line) for line in finished], known


def _found(line: dict[str, Any]) -> Answer | Vital:
    values = {name: value for name, value in line.items() if name != "kind"}
    return Answer(**values) if line["kind"] == "answer" else Vital(**values)


def _streams(chosen: argparse.Namespace, seeds: Sequence[int]) -> list[LongStream]:
    return [
        LongStream(
            seed,
            chosen.minutes,
            moments=_numbers(chosen.moments),
            ages=_numbers(chosen.ages) or AGES,
            per_age=chosen.per_age,
            phrasing=chosen.phrasing,
        )
        for seed in seeds
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.long",
        description="Recall of events of known ages from sessions of a fixed budget that forget in different ways.",
    )
    add_common(parser)
    add = parser.add_argument
    add("--minutes", type=positive, default=12, help="length of a stream (%(default)s)")
    add("--streams", type=positive, default=2, help="streams, of consecutive seeds (%(default)s)")
    add(
        "--moments",
        default="",
        help="minutes at which is asked, by commas; '' for the middle and the end (%(default)s)",
    )
    add("--ages", default=",".join(map(str, AGES)), help="minutes of age that is asked about, by commas (%(default)s)")
    add("--per-age", type=positive, default=2, help="questions of each age at the end (%(default)s)")
    add("--phrasing", choices=get_args(Phrasing), default="canonical", help="how they are worded (%(default)s)")
    add("--budget", type=positive, default=4096, help="audiovisual tokens of a session (%(default)s)")
    add("--rules", default=",".join(RULES), help="ways to forget, by commas (%(default)s)")
    add("--deep-share", default="0.3", help="share of the stored tokens in the deep layers; 1 for all (%(default)s)")
    add("--commit", action="store_true", help="turns stay in the session; else each question is taken back")
    add("--timed", default="5,10,20,30,45,60,90,120", help="minutes at which the first rule is timed (%(default)s)")
    add("--repeats", type=positive, default=5, help="questions a timing; medians count (%(default)s)")
    add("--batch", type=positive, default=1, help="streams played side by side; 32 on a GPU (%(default)s)")
    add("--out", type=Path, metavar="FILE", help="answers by stream: streams it holds already are not played again")
    return parser


def _numbers(text: str) -> list[int] | None:
    return [int(part) for part in text.split(",") if part] or None


if __name__ == "__main__":
    sys.exit(main())
