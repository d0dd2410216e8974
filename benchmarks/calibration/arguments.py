"""What can be asked of a calibration. Imports no torch: `omnidrop` shows these options beside those of its service."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.evaluation.arguments import share, size
from benchmarks.evaluation.formats import BENCHMARKS

__all__ = ["add_arguments"]

FIRST_SEED = 7_000_000
"""Training draws its streams from the same range; those of benchmarks begin at 8,000,000."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `omnidrop calibrate` and `python -m benchmarks.calibration`."""
    add = parser.add_argument
    add("--model", default="nano", help="'nano', a directory, or a name on the Hugging Face hub (%(default)s)")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument(
        "--retention", type=share, help="layer mean to meet, relative to the tokens before compression, on long streams"
    )
    target.add_argument(
        "--deep-share", type=share, help="instead: share of the stored tokens in the layers after the fusion depth"
    )
    add("--out", required=True, type=Path, metavar="FILE", help="configuration to write, for `omnidrop serve --config`")
    add("--diversity", type=_weights, default=(0.2,), help="weights to try beside 0, by commas (0.2)")
    add("--budget", type=_positive, default=2048, help="tokens that a session's memory holds, as served (%(default)s)")
    add("--device", default="cpu", help="cpu, cuda or cuda:N (%(default)s)")
    add("--dtype", default="float32", choices=("float32", "bfloat16", "float16"))
    add("--threads", type=_positive, default=1, help="CPU threads (%(default)s)")
    add("--batch", type=_positive, default=4, help="streams at a time (%(default)s)")
    add("--limit", type=_positive, default=28, help="streams or videos, at least 3 (%(default)s)")
    others = parser.add_argument_group("calibration set of models that are not ours")
    others.add_argument("--benchmark", choices=tuple(BENCHMARKS), help="whose questions to ask")
    others.add_argument("--data", type=Path, metavar="DIR", help="directory of its annotations and videos")
    others.add_argument("--tokens", type=_positive, default=16, help="most tokens of a reply to them (%(default)s)")
    others.add_argument("--frame-size", type=size, default=(1280, 720), help="WIDTHxHEIGHT of the camera (1280x720)")
    others.add_argument("--frame-tokens", type=int, help="most video tokens a second; 144 if not given")
    ours = parser.add_argument_group("calibration set of the built-in model")
    ours.add_argument("--split", choices=("dense", "needle"), default="needle", help="kind of streams (%(default)s)")
    ours.add_argument("--windows", type=_positive, default=16, help="of 2 s a stream (%(default)s)")
    ours.add_argument("--questions", type=_positive, default=8, help="about each stream, at its end (%(default)s)")
    ours.add_argument("--seed", type=int, default=FIRST_SEED, help="of the first stream; below 8,000,000 (%(default)s)")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 on is expected")
    return value


def _weights(text: str) -> tuple[float, ...]:
    found = tuple(float(part) for part in text.split(",") if part)
    if any(weight < 0 for weight in found):
        raise argparse.ArgumentTypeError(f"{text}: a weight is not below 0")
    return found
