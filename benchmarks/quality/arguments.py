"""What `python -m benchmarks.quality` takes, and the rows of the table that it asks for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from nano_omni.world import ACCEPTANCE_SEEDS, SPLITS
from nano_omni.world.questions import Phrasing
from pruner import TurnOptions
from pruner.policies import NAMES

REFERENCE = "all"
"""The method that keeps everything; every run includes it, since all others are compared with it."""
LIVE = {
    "live": TurnOptions(),
    "live_mean": TurnOptions(score="mean"),
    "live_diverse": TurnOptions(diversity_weight=0.2),
}
"""OmniDrop live as it is served, with the paper's score, and with temporal diversity."""
POLICIES = (*LIVE, *(name for name in NAMES if name not in (REFERENCE, "live")))
_HELD_OUT_SEEDS = 8_000_000


@dataclass(frozen=True, slots=True)
class Job:
    """A row: a method at a target, which is a retention or (live methods only) a deep share; neither keeps all."""

    policy: str
    retention: float | None = None
    deep_share: float | None = None

    @property
    def target(self) -> str:
        """What it aims at, for people."""
        if self.deep_share is not None:
            return f"deep {100 * self.deep_share:g} %"
        return "-" if self.retention is None else f"{100 * self.retention:g} %"

    @property
    def key(self) -> str:
        """The same for journals."""
        return f"{self.policy} {self.target}"


@dataclass(frozen=True, slots=True)
class Arguments:
    """A run. `streams` of `windows` windows from `seed` on, `questions` about each at its end."""

    model: str
    device: str
    seed: int
    streams: int
    split: str
    windows: int
    questions: int
    phrasing: Phrasing
    jobs: tuple[Job, ...]
    threads: int
    batch: int
    dump: Path | None
    out: Path | None


def parse(arguments: Sequence[str] | None = None) -> Arguments:
    """Read the command line; exits with status 2 and a usage line when it is wrong."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        jobs = plan_jobs(_policies(chosen.policy), _shares(chosen.retention), _shares(chosen.deep_share))
    except ValueError as error:
        parser.error(str(error))
    if chosen.seed < ACCEPTANCE_SEEDS < chosen.seed + chosen.streams:
        parser.error(f"streams {chosen.seed} to {chosen.seed + chosen.streams - 1} reach into the acceptance seeds")
    return Arguments(
        model=chosen.model,
        device=chosen.device,
        seed=chosen.seed,
        streams=chosen.streams,
        split=chosen.split,
        windows=chosen.windows,
        questions=chosen.questions,
        phrasing=chosen.phrasing,
        jobs=jobs,
        threads=chosen.threads,
        batch=chosen.batch,
        dump=chosen.dump,
        out=chosen.out,
    )


def plan_jobs(policies: Sequence[str], retentions: Sequence[float], deep_shares: Sequence[float]) -> tuple[Job, ...]:
    """The reference, then every policy at every retention, then the live ones at every deep share."""
    jobs = [Job(REFERENCE)]
    jobs += [Job(policy, retention=share) for share in retentions for policy in policies]
    jobs += [Job(policy, deep_share=share) for share in deep_shares for policy in policies if policy in LIVE]
    return tuple(jobs)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality",
        description="SceneQA accuracy of pruning methods, paired over the same questions. All tokens are always a row.",
    )
    add = parser.add_argument
    add("--model", default="nano", help="'nano' or a model directory (%(default)s)")
    add("--device", default="cpu", help="cpu, cuda or cuda:N (%(default)s)")
    add("--seed", type=_natural, default=_HELD_OUT_SEEDS, help="seed of the first stream (%(default)s)")
    add("--streams", type=_positive, default=10, help="streams, of consecutive seeds (%(default)s)")
    add("--split", choices=SPLITS, default="needle", help="kind of streams (%(default)s)")
    add("--windows", type=_positive, default=16, help="length of a stream in windows of 2 s (%(default)s)")
    add("--questions", type=_positive, default=16, help="questions about each stream, asked at its end (%(default)s)")
    add("--phrasing", choices=get_args(Phrasing), default="canonical", help="how they are worded (%(default)s)")
    add("--policy", default="all", help=f"'all' or names, by commas: {', '.join(POLICIES)} (%(default)s)")
    add("--retention", default="0.45,0.3", help="layer-mean retentions, by commas; '' for none (%(default)s)")
    add("--deep-share", default="0.3,0.1", help="the same for the deep share of live methods (%(default)s)")
    add("--threads", type=_positive, default=2, help="CPU threads (%(default)s)")
    add("--batch", type=_positive, default=4, help="streams worked on at a time (%(default)s)")
    add("--dump", type=Path, metavar="FILE", help="write every prediction there, a line of JSON each")
    add("--out", type=Path, metavar="FILE", help="journal: what it holds already is not computed again")
    return parser


def _policies(names: str) -> list[str]:
    if names == "all":
        return list(POLICIES)
    chosen = [name for name in names.split(",") if name]
    unknown = [name for name in chosen if name not in POLICIES]
    if unknown:
        raise ValueError(f"there is no policy {unknown[0]!r}: choose 'all' or from {', '.join(POLICIES)}")
    return list(dict.fromkeys(chosen))


def _shares(text: str) -> list[float]:
    shares = [float(part) for part in text.split(",") if part]
    if not all(0 < share <= 1 for share in shares):
        raise ValueError(f"shares are above 0 and at most 1, unlike {text!r}")
    return list(dict.fromkeys(shares))


def _natural(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("a whole number from 0 on is expected")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 on is expected")
    return value
