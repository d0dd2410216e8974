"""Which streams a run answers about, with which rows; and the two grids that have a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.quality.jobs import LIVE, POLICIES, REFERENCE, RIVALS, Job, against

__all__ = ["GRIDS", "Setting", "make_grid"]

GRIDS = ("reduced", "full")
QUESTIONS = 16
"""About each stream."""
_HEADLINE, _OTHERS = 256, 32
"""Streams of the full grid: 4,096 questions for its headline points, 512 for the others."""
_FEW = 8
"""Streams of the reduced one: 128 questions a row."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Streams of one kind and the rows about them.

    Attributes:
        split, windows: kind and length of the streams.
        streams: how many, of consecutive seeds.
        questions: about each, at its end.
        jobs: rows answered on all streams, the reference first.
        others: rows answered on the first `others_streams` of them.
    """

    split: str
    windows: int
    streams: int
    questions: int
    jobs: tuple[Job, ...]
    others: tuple[Job, ...] = ()
    others_streams: int = 0

    @property
    def name(self) -> str:
        """For file names."""
        return f"{self.split}-{self.windows}"

    @property
    def rows(self) -> list[tuple[Job, int]]:
        """Every row with the number of its streams."""
        return [(job, self.streams) for job in self.jobs] + [(job, self.others_streams) for job in self.others]


def make_grid(name: str, headline: Sequence[str] = ()) -> tuple[Setting, ...]:
    """The settings of a grid.

    "reduced" fits 2 cores and ten minutes: needles in 16 windows, at the deep share where methods differ most. "full"
    is for a GPU (about half an hour on one H200: estimated from its kernels, not measured; it can be killed and taken
    up again): needles and dense scenes in 16 and 64 windows, at three deep shares, each rival at equal retention and at
    equal operations, and retentions in between for the curves.

    Args:
        name: one of `GRIDS`.
        headline: rivals whose comparisons in needles of 16 windows get as many questions as the headline points.

    Raises:
        ValueError: no such grid or rival.
    """
    unknown = [policy for policy in headline if policy not in RIVALS]
    if unknown:
        raise ValueError(f"there is no rival {unknown[0]!r}: choose from {', '.join(RIVALS)}")
    if name == "reduced":
        return (_reduced(),)
    if name == "full":
        return _full(headline)
    raise ValueError(f"there is no grid {name!r}: choose from {', '.join(GRIDS)}")


def _reduced() -> Setting:
    jobs = [Job(REFERENCE), *(Job(policy, deep_share=share) for share in (0.3, 0.1) for policy in LIVE)]
    jobs += against(RIVALS, 0.1)
    jobs += [Job(policy, retention=0.45) for policy in ("live", *RIVALS)]
    return Setting("needle", 16, _FEW, QUESTIONS, tuple(jobs))


def _full(headline: Sequence[str]) -> tuple[Setting, ...]:
    shares = (0.3, 0.1, 0.05)
    first = [Job(REFERENCE), *(Job("live", deep_share=share) for share in shares)]
    rest = [Job(policy, deep_share=share) for share in shares for policy in LIVE if policy != "live"]
    for share in shares:
        for job in against(RIVALS, share):
            (first if job.policy in headline else rest).append(job)
    rest += [Job(policy, retention=share) for share in (0.6, 0.45) for policy in POLICIES]
    dense = [Job("live", deep_share=share) for share in shares] + against(RIVALS, 0.1)
    long = [Job(policy, deep_share=share) for share in (0.3, 0.1) for policy in LIVE] + against(RIVALS, 0.1)

    def setting(split: str, windows: int, jobs: Sequence[Job], others: Sequence[Job], streams: int) -> Setting:
        return Setting(split, windows, streams, QUESTIONS, tuple(jobs), tuple(others), _OTHERS)

    return (
        setting("dense", 16, [Job(REFERENCE)], dense, _HEADLINE),
        setting("dense", 64, [Job(REFERENCE)], dense, _HEADLINE),
        setting("needle", 64, [Job(REFERENCE)], long, _OTHERS),
        setting("needle", 16, first, rest, _HEADLINE),
    )
