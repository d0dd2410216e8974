"""Chooses how a model is pruned and writes it into a configuration file, with what was measured.

    omnidrop calibrate --retention 0.3 --out calibrated.yaml
    omnidrop serve --config calibrated.yaml

The built-in model answers questions about streams of its scene world, from seeds that benchmarks do not use; other
models those of a published benchmark (`--benchmark`, `--data`). Fusion depth, schedule, score and weight of diversity
are chosen by successive halving; what comes out replaces the default only if it beats it on streams that chose nothing,
the 95 % interval of the paired difference above 0. A target that nothing reaches is an error that says what is reached.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from benchmarks.calibration.arguments import add_arguments
from benchmarks.calibration.choose import Choice, choose
from benchmarks.calibration.exams import Exam, groups, published, scenes
from benchmarks.calibration.report import as_json, as_table, as_yaml
from benchmarks.calibration.settings import Setting, settings
from benchmarks.calibration.sitting import Marks, Sitting
from benchmarks.report import decoding, environment, print_json, progress, weights_of
from nano_omni import weights_dir
from pruner import LiveModel, LiveOptions

_QUESTION, _TEXT = 2048, 4096  # tokens: long options come in many words
_TOLD = ("model", "retention", "deep_share", "diversity", "budget", "device", "dtype", "batch", "limit", "benchmark")
_SCENES = ("split", "windows", "questions", "seed")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    add_arguments(parser)
    return calibrate(parser.parse_args(arguments))


def calibrate(chosen: argparse.Namespace) -> int:
    """Runs what was chosen; returns the exit status: 0 done, 2 the target, set or model cannot be used."""
    torch.set_num_threads(chosen.threads)
    try:
        if not chosen.out.parent.is_dir():
            raise ValueError(f"--out: there is no folder {chosen.out.parent}")
        _check_set(chosen)
        model = _load(chosen)
        facts = model.facts
        choices = settings(facts, retention=chosen.retention, deep_share=chosen.deep_share, weights=chosen.diversity)
        exams = groups(_exams(chosen, model))
        sitting = Sitting(
            model,
            budget=chosen.budget,
            max_tokens=chosen.tokens if chosen.benchmark else None,
            batch=chosen.batch,
        )
        everything = Setting(facts.fusion_depth, 1.0, "constant", "running_max", 0.0)
        choice = choose(choices, exams, _loud(sitting), beside=[everything])
    except ValueError as error:  # what the pruner and the formats raise on purpose are such
        print(f"calibrate: {error}", file=sys.stderr)
        return 2
    _tell(chosen, choice, everything, model)
    return 0


def _tell(chosen: argparse.Namespace, choice: Choice, everything: Setting, model: LiveModel) -> None:
    result = {"bench": "calibration"} | {name: getattr(chosen, name) for name in _TOLD}
    if not chosen.benchmark:
        result |= {name: getattr(chosen, name) for name in _SCENES}
    result["weights"] = weights_of(chosen.model)
    result |= as_json(choice, everything) | {"decoding": decoding(model)} | environment(chosen.device)
    print(as_table(choice, everything))
    chosen.out.write_text(as_yaml(_engine(chosen, choice.chosen), result), encoding="utf-8")
    print(f"{chosen.out}: {choice.chosen}")
    print_json(result)


def _engine(chosen: argparse.Namespace, setting: Setting) -> dict[str, Any]:
    """The `engine` section of a configuration file."""
    section: dict[str, Any] = {
        "model": chosen.model,
        "device": chosen.device,
        "dtype": chosen.dtype,
        "budget": chosen.budget,
        "fusion_depth": setting.fusion_depth,
        "deep_share": setting.deep_share,
        "schedule": setting.schedule,
        "score": setting.score,
        "diversity_weight": setting.diversity_weight,
    }
    if chosen.benchmark:
        section |= {"frame_size": list(chosen.frame_size), "frame_tokens": chosen.frame_tokens}
    return section


def _check_set(chosen: argparse.Namespace) -> None:
    if (chosen.benchmark is None) != (chosen.data is None):
        raise ValueError("--benchmark and --data go together")
    if chosen.benchmark is None and chosen.model != "nano":
        raise ValueError(f"the scene world is nano's alone: name --benchmark and --data for {chosen.model}")


def _load(chosen: argparse.Namespace) -> LiveModel:
    path = weights_dir() if chosen.model == "nano" else chosen.model
    dtype = getattr(torch, chosen.dtype)
    width, height = chosen.frame_size
    options = LiveOptions()
    if chosen.benchmark:
        options = LiveOptions(
            frame_size=(height, width),
            frame_tokens=chosen.frame_tokens,
            max_text_tokens=_TEXT,
            max_question_tokens=_QUESTION,
        )
    return LiveModel.load(path, device=chosen.device, dtype=dtype, options=options)


def _exams(chosen: argparse.Namespace, model: LiveModel) -> list[Exam]:
    if chosen.benchmark:
        facts = model.facts
        return published(chosen.benchmark, chosen.data, height=facts.height, width=facts.width, limit=chosen.limit)
    return scenes(
        chosen.seed,
        chosen.limit,
        split=chosen.split,
        windows=chosen.windows,
        questions=chosen.questions,
        device=chosen.device,
    )


def _loud(sitting: Sitting) -> Any:
    """The same, telling how far it is."""

    def measure(some: Sequence[Setting], exams: Sequence[Exam]) -> Mapping[Setting, Sequence[Marks]]:
        progress(f"{len(some)} settings on {len(exams)} streams")
        return sitting(some, exams)

    return measure


if __name__ == "__main__":
    sys.exit(main())
