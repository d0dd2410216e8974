"""What `python -m benchmarks.quality` takes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from benchmarks.quality.grids import GRIDS, QUESTIONS, Setting, make_grid
from benchmarks.quality.jobs import POLICIES, plan_jobs
from nano_omni.world import ACCEPTANCE_SEEDS, SPLITS
from nano_omni.world.questions import Phrasing

__all__ = ["HELD_OUT_SEEDS", "Arguments", "add_common", "natural", "parse", "positive", "require_seeds", "shares"]

HELD_OUT_SEEDS = 8_000_000


@dataclass(frozen=True, slots=True)
class Arguments:
    """A run: settings one after the other, streams from `seed` on."""

    model: str
    device: str
    seed: int
    phrasing: Phrasing
    settings: tuple[Setting, ...]
    threads: int
    batch: int
    dump: Path | None
    out: Path | None

    def journal(self, setting: Setting) -> Path | None:
        """Where a setting's predictions are kept: a grid has a file for each."""
        if self.out is None or len(self.settings) == 1:
            return self.out
        return self.out.with_name(f"{self.out.stem}-{setting.name}{self.out.suffix}")

    def survivors(self, setting: Setting) -> Path | None:
        """Where a setting's survivors are dumped."""
        return None if self.dump is None else self.dump / setting.name


def parse(arguments: Sequence[str] | None = None) -> Arguments:
    """Read the command line; exits with status 2 and a usage line when it is wrong."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        settings = _settings(chosen)
        for setting in settings:
            require_seeds(chosen.seed, setting.streams)
    except ValueError as error:
        parser.error(str(error))
    return Arguments(
        model=chosen.model,
        device=chosen.device,
        seed=chosen.seed,
        phrasing=chosen.phrasing,
        settings=settings,
        threads=chosen.threads,
        batch=chosen.batch,
        dump=chosen.dump,
        out=chosen.out,
    )


def add_common(parser: argparse.ArgumentParser) -> None:
    """Options that every benchmark of answers has."""
    add = parser.add_argument
    add("--model", default="nano", help="'nano' or a model directory (%(default)s)")
    add("--device", default="cpu", help="cpu, cuda or cuda:N (%(default)s)")
    add("--seed", type=natural, default=HELD_OUT_SEEDS, help="seed of the first stream (%(default)s)")
    add("--threads", type=positive, default=2, help="CPU threads (%(default)s)")


def require_seeds(first: int, streams: int) -> None:
    """Keep clear of the acceptance seeds by accident; naming one of them outright is somebody's decision.

    Raises:
        ValueError: streams from an earlier seed on reach into them.
    """
    if first < ACCEPTANCE_SEEDS < first + streams:
        raise ValueError(f"streams {first} to {first + streams - 1} reach into the acceptance seeds")


def shares(text: str) -> list[float]:
    """Shares in (0, 1], by commas, each once.

    Raises:
        ValueError: something else.
    """
    found = [float(part) for part in text.split(",") if part]
    if not all(0 < share <= 1 for share in found):
        raise ValueError(f"shares are above 0 and at most 1, unlike {text!r}")
    return list(dict.fromkeys(found))


def natural(text: str) -> int:
    """A whole number from 0 on."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("a whole number from 0 on is expected")
    return value


def positive(text: str) -> int:
    """A whole number from 1 on."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 on is expected")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality",
        description="SceneQA accuracy of pruning methods, paired over the same questions. All tokens are always a row.",
    )
    add_common(parser)
    add = parser.add_argument
    add("--grid", choices=GRIDS, help="rows and streams of a named grid, instead of those of the options below")
    add("--headline", default="", help="with --grid full: rivals, by commas, that get 4,096 questions as well")
    add("--streams", type=positive, default=10, help="streams, of consecutive seeds (%(default)s)")
    add("--split", choices=SPLITS, default="needle", help="kind of streams (%(default)s)")
    add("--windows", type=positive, default=16, help="length of a stream in windows of 2 s (%(default)s)")
    add("--questions", type=positive, default=QUESTIONS, help="about each stream, asked at its end (%(default)s)")
    add("--phrasing", choices=get_args(Phrasing), default="canonical", help="how they are worded (%(default)s)")
    add("--policy", default="all", help=f"'all' or names, by commas: {', '.join(POLICIES)} (%(default)s)")
    add("--retention", default="0.45", help="layer-mean retentions, by commas; '' for none (%(default)s)")
    add(
        "--deep-share",
        default="0.1",
        help="shares of the stored tokens that live methods let into the deep layers, by commas; other methods are "
        "then run at equal retention and at equal operations after the question; '' for none (%(default)s)",
    )
    add("--batch", type=positive, default=4, help="streams worked on at a time; 32 on a GPU (%(default)s)")
    add("--dump", type=Path, metavar="DIR", help="write every prediction and which tokens survived there")
    add("--out", type=Path, metavar="FILE", help="journal: what it holds already is not computed again")
    return parser


def _settings(chosen: argparse.Namespace) -> tuple[Setting, ...]:
    headline = [name for name in chosen.headline.split(",") if name]
    if headline and chosen.grid != "full":
        raise ValueError("--headline belongs to --grid full")
    if chosen.grid is not None:
        return make_grid(chosen.grid, headline)
    jobs = plan_jobs(_policies(chosen.policy), shares(chosen.retention), shares(chosen.deep_share))
    return (Setting(chosen.split, chosen.windows, chosen.streams, chosen.questions, jobs),)


def _policies(names: str) -> list[str]:
    if names == "all":
        return list(POLICIES)
    chosen = [name for name in names.split(",") if name]
    unknown = [name for name in chosen if name not in POLICIES]
    if unknown:
        raise ValueError(f"there is no policy {unknown[0]!r}: choose 'all' or from {', '.join(POLICIES)}")
    return list(dict.fromkeys(chosen))
