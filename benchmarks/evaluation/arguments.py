"""What can be asked of an evaluation. Imports no torch: `omnidrop` shows these options beside those of its service."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.evaluation.formats import BENCHMARKS

__all__ = ["add_arguments", "replies_file", "share", "size"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `omnidrop eval` and `python -m benchmarks.evaluation`."""
    add = parser.add_argument
    add("--benchmark", required=True, choices=tuple(BENCHMARKS))
    add("--data", required=True, type=Path, metavar="DIR", help="directory of annotations and videos")
    add("--model", default="nano", help="'nano', a directory, or a name on the Hugging Face hub (%(default)s)")
    add("--policy", type=_policy, default="live", help="live, or a one-shot method: an unknown one lists them (live)")
    add("--retention", type=share, default=0.3, help="layer mean; 1: no drops in the decoder (%(default)s)")
    add("--budget", type=int, default=16_384, help="tokens that a live session's memory holds (%(default)s)")
    add("--tokens", type=int, default=16, help="most tokens of a reply (%(default)s)")
    add("--frame-size", type=size, default=(1280, 720), help="WIDTHxHEIGHT that frames are shaped for (1280x720)")
    add("--frame-tokens", type=int, default=None, help="most video tokens a second; 144 if not given")
    add("--device", default="cpu")
    add("--dtype", default="float32", choices=("float32", "bfloat16", "float16"))
    add("--limit", type=int, default=None, help="only the first questions")
    add("--out", type=Path, help="file of replies, one JSON a line; if not given, one here, named after the run")


def replies_file(chosen: argparse.Namespace) -> Path:
    """Where a run's replies go if nobody says."""
    model = chosen.model.rstrip("/").rpartition("/")[2]
    return Path(f"{chosen.benchmark}-{model}-{chosen.policy}-{chosen.retention:g}.jsonl")


def _policy(name: str) -> str:
    from pruner.policies import NAMES  # it loads torch, which asking for help should not wait for

    if name not in NAMES:
        raise argparse.ArgumentTypeError(f"there is no {name!r}; choose from {', '.join(sorted(NAMES))}")
    return name


def share(text: str) -> float:
    """Above 0 and at most 1."""
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share: it is above 0 and at most 1")
    return value


def size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT."""
    width, _, height = text.partition("x")
    return int(width), int(height)
