"""From outcomes to rows: accuracy with its interval, paired differences, cost, categories, survivors. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.quality.jobs import LIVE, REFERENCE, Job
from benchmarks.quality.outcomes import Answered, Outcome, Prediction, Unreachable
from benchmarks.quality.papers import Paper
from benchmarks.report import table
from benchmarks.statistics import Interval, paired_difference, wilson

__all__ = ["Scored", "as_json", "as_table", "row", "score"]

_GIGA = 1e9


@dataclass(frozen=True, slots=True)
class Scored:
    """A job's outcome on the first streams of a run.

    Attributes:
        job: the row.
        papers: the streams.
        right: of each stream, whether each question was answered exactly; empty where the target is out of reach.
        answered: in the same order.
        unreachable: set where it is.
        set_to: retention that the method was set to, for a job that is to equal a live row.
    """

    job: Job
    papers: Sequence[Paper]
    right: list[list[bool]]
    answered: list[Answered]
    unreachable: Unreachable | None = None
    set_to: float | None = None

    @property
    def count(self) -> int:
        """Questions."""
        return sum(map(len, self.right))

    @property
    def accuracy(self) -> float:
        """Share answered exactly; there is at least one question."""
        return sum(map(sum, self.right)) / self.count

    @property
    def predictions(self) -> list[Prediction]:
        """Of all streams."""
        return [one for stream in self.answered for one in stream.predictions]

    def minus(self, other: Scored) -> Interval:
        """Paired difference of the accuracies, over the streams that both answered about."""
        return paired_difference(
            [(sum(mine) - sum(its), len(mine)) for mine, its in zip(self.right, other.right, strict=False)]
        )


def score(job: Job, outcomes: Sequence[Outcome], papers: Sequence[Paper], *, set_to: float | None = None) -> Scored:
    """Marks exact matches; a target that is out of reach on some stream counts as out of reach."""
    answered = []
    for outcome in outcomes:
        if isinstance(outcome, Unreachable):
            return Scored(job, papers, [], [], outcome)
        answered.append(outcome)
    right = [
        [one.text.strip() == qa.answer for one, qa in zip(said.predictions, paper.asked, strict=True)]
        for said, paper in zip(answered, papers, strict=True)
    ]
    return Scored(job, papers, right, answered, set_to=set_to)


def row(scored: Scored, reference: Scored) -> dict[str, Any]:
    """One row of the result.

    Args:
        scored: the job.
        reference: everything kept; its difference to this row is reported.
    """
    job = scored.job
    told = {"policy": job.policy, "target": job.targets(), "options": _options(scored)}
    if not scored.count:
        nothing: dict[str, Any] = {"retention": None, "flops": None, "n": 0, "accuracy": None, "by_category": {}}
        lost = scored.unreachable
        out = {} if lost is None else {"unreachable": [lost.low, lost.high], "unreachable_what": lost.what}
        return {**told, **nothing, **out}
    flat = scored.predictions
    interval = wilson(sum(map(sum, scored.right)), scored.count)
    shares, counts = _by_category(scored)
    deep = [one.deep_share for one in flat if one.deep_share is not None]
    return {
        **told,
        "retention": round(fmean(one.retention for one in flat), 5),
        "flops": round(fmean(one.flops for one in flat)),
        "n": scored.count,
        "accuracy": round(interval.value, 5),
        "by_category": shares,
        "confidence": [round(interval.low, 5), round(interval.high, 5)],
        "vs_all": as_json(scored.minus(reference)),
        "flops_after_question": round(fmean(one.flops_after for one in flat)),
        "flops_in_store": round(fmean(one.flops_in_store for one in flat)),
        "deep_share": round(fmean(deep), 5) if deep else None,
        "n_by_category": counts,
        "survivors": _survivors(scored.answered),
    }


def as_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows for people; figures in per cent and in 10^9 operations."""
    heads = ["policy", "target", "retention", "deep", "GFLOP", "after question", "in store", "n", "accuracy", "95 %"]
    return table([*heads, "minus all"], [_cells(one) for one in rows], left=(0, 1))


def as_json(interval: Interval) -> list[float]:
    """Value and ends."""
    return [round(interval.value, 5), round(interval.low, 5), round(interval.high, 5)]


def _cells(one: dict[str, Any]) -> list[str]:
    job = Job(one["policy"], **one["target"])
    if one["accuracy"] is None:
        return [job.policy, job.target, _reach(one), *[""] * 8]
    difference = one["vs_all"]
    versus = f"{100 * difference[0]:+.1f} [{100 * difference[1]:+.1f}, {100 * difference[2]:+.1f}]"
    return [
        job.policy,
        job.target,
        f"{100 * one['retention']:.1f}",
        "" if one["deep_share"] is None else f"{100 * one['deep_share']:.1f}",
        f"{one['flops'] / _GIGA:.2f}",
        f"{one['flops_after_question'] / _GIGA:.2f}",
        f"{one['flops_in_store'] / _GIGA:.2f}",
        str(one["n"]),
        f"{100 * one['accuracy']:.1f}",
        "[{:.1f}, {:.1f}]".format(*(100 * end for end in one["confidence"])),
        "" if job.policy == REFERENCE else versus,
    ]


def _reach(one: dict[str, Any]) -> str:
    if "unreachable" not in one:
        return "no questions"
    low, high = one["unreachable"]
    if one["unreachable_what"] == "flops":
        return f"takes {low / _GIGA:.2f} to {high / _GIGA:.2f} GFLOP"
    return f"reaches {100 * low:.1f} to {100 * high:.1f} %"


def _options(scored: Scored) -> dict[str, Any]:
    """How the method was set."""
    job = scored.job
    if job.policy in LIVE:
        return asdict(replace(LIVE[job.policy], retention=job.retention, deep_share=job.deep_share or 1.0))
    retention = scored.set_to if job.model is not None else job.retention
    return {"retention": retention, "seed": 0}


def _by_category(scored: Scored) -> tuple[dict[str, float], dict[str, int]]:
    marks = defaultdict(list)
    for right, paper in zip(scored.right, scored.papers, strict=True):
        for mark, qa in zip(right, paper.asked, strict=True):
            marks[qa.category].append(mark)
    named = sorted(marks.items())
    return {name: round(fmean(of), 4) for name, of in named}, {name: len(of) for name, of in named}


def _survivors(answered: Sequence[Answered]) -> list[list[float]]:
    """[layers][windows], mean share of a window's raw tokens that enters a layer."""
    asked = [one for one in answered if one.predictions]
    alive = np.sum([one.survivors for one in asked], axis=0)
    raw = np.sum([[len(one.predictions) * count for count in one.raw] for one in asked], axis=0)
    return np.round(alive / np.maximum(raw, 1), 3).tolist()  # type: ignore[no-any-return]
