"""Run the benchmark: see `python -m benchmarks.encoding --help` and benchmarks/README.md."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.encoding import codec, hearing, still
from benchmarks.quality.arguments import add_common, positive, require_seeds
from benchmarks.report import decoding, environment, fingerprint, model_path, print_json
from pruner import LiveModel, PrunerError
from pruner.stillness import BLOCKS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status: 0 done, 1 the model cannot be used."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        require_seeds(chosen.seed, chosen.streams)
        thresholds = _thresholds(chosen.still_change)
    except ValueError as error:
        parser.error(str(error))
    torch.set_num_threads(chosen.threads)
    try:
        result = run(chosen, thresholds)
    except PrunerError as error:
        print(f"benchmarks.encoding: {error}", file=sys.stderr)
        return 1
    print({"hearing": hearing, "still": still, "codec": codec}[chosen.what].as_table(result["rows"]))
    print_json(result)
    return 0


def run(chosen: argparse.Namespace, thresholds: Sequence[float]) -> dict[str, Any]:
    """Encode the same streams in all ways, and ask about them.

    Raises:
        PrunerError: the model cannot be loaded.
        ArithmeticError: see `benchmarks.encoding.hearing.rows`.
    """
    began = time.monotonic()
    model = LiveModel.load(model_path(chosen.model), device=chosen.device)
    seeds = range(chosen.seed, chosen.seed + chosen.streams)
    found: list[dict[str, Any]] = []
    if chosen.what == "hearing":
        found = hearing.rows(model, [hearing.paper(seed, chosen.windows, chosen.questions) for seed in seeds])
    elif chosen.what == "codec":
        vision = model.model.vision
        side, size = vision.height // vision.rows // BLOCKS, vision.height
        found = codec.rows(seeds, thresholds, side=side, size=size)
    else:
        for split in ("long", "needle"):
            for camera in still.CAMERAS:
                papers = [still.paper(seed, chosen.windows, split, camera, chosen.questions) for seed in seeds]
                found += still.rows(model, papers, camera, thresholds)
    return {
        "bench": "encoding",
        "what": chosen.what,
        "windows": chosen.windows,
        "seed": chosen.seed,
        "rows": found,
        "streams": chosen.streams,
        "questions": chosen.questions,
        "deep_share": model.options.turn.deep_share,
        "model": chosen.model,
        "weights": fingerprint(model_path(chosen.model)),
        "decoding": decoding(model),
        "seconds": round(time.monotonic() - began, 1),
        **environment(chosen.device),
    }


def _thresholds(text: str) -> list[float]:
    """Levels of 255, by commas, each once.

    Raises:
        ValueError: something else.
    """
    found = [float(part) for part in text.split(",") if part]
    if not all(0 <= level <= 255 for level in found):
        raise ValueError(f"levels are 0 to 255, unlike {text!r}")
    return list(dict.fromkeys(found))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.encoding",
        description="Encoders as a stream flows: windows against the whole clip, and pictures that stand still.",
    )
    parser.add_argument(
        "what",
        choices=("hearing", "still", "codec"),
        help="'hearing': ways to cut sound into windows, against the whole clip; 'still': thresholds for pictures that "
        "stand still; 'codec': how much such a picture changes on its way through a sensor and VP8",
    )
    add_common(parser)
    add = parser.add_argument
    add("--streams", type=positive, default=8, help="streams, of consecutive seeds (%(default)s)")
    add("--windows", type=positive, default=16, help="length of a stream in windows of 2 s (%(default)s)")
    add("--questions", type=positive, default=16, help="about each stream, asked at its end (%(default)s)")
    add("--still-change", default="0,2,8,32", help="levels of 255, by commas (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
