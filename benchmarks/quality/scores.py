"""From predictions to rows: accuracy with its interval, paired differences, cost, categories. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from benchmarks.quality.arguments import REFERENCE, Job
from benchmarks.quality.candidates import Prediction, Unreachable
from benchmarks.quality.journal import Outcome
from benchmarks.quality.papers import Paper
from benchmarks.report import table
from benchmarks.statistics import Interval, paired_difference, wilson

_GIGA = 1e9


@dataclass(frozen=True, slots=True)
class Scored:
    """A job's outcome on all streams.

    Attributes:
        job: the row.
        right: of each stream, whether each question was answered exactly; empty where the target is out of reach.
        predictions: in the same order.
        unreachable: set where it is.
    """

    job: Job
    right: list[list[bool]]
    predictions: list[list[Prediction]]
    unreachable: Unreachable | None = None

    @property
    def count(self) -> int:
        """Questions."""
        return sum(map(len, self.right))

    def minus(self, other: Scored) -> Interval:
        """Paired difference of the accuracies."""
        return paired_difference(
            [(sum(mine) - sum(its), len(mine)) for mine, its in zip(self.right, other.right, strict=True)]
        )


def score(job: Job, outcomes: Sequence[Outcome], papers: Sequence[Paper]) -> Scored:
    """Marks exact matches; a target that is out of reach on some stream counts as out of reach."""
    predictions = []
    for outcome in outcomes:
        if isinstance(outcome, Unreachable):
            return Scored(job, [], [], outcome)
        predictions.append(outcome)
    right = [
        [one.text.strip() == qa.answer for one, qa in zip(said, paper.asked, strict=True)]
        for said, paper in zip(predictions, papers, strict=True)
    ]
    return Scored(job, right, predictions)


def row(scored: Scored, papers: Sequence[Paper], reference: Scored, rivals: Sequence[Scored]) -> dict[str, Any]:
    """A row as the JSON line has it; `rivals` are those whose paired difference is told beside the reference's."""
    job = scored.job
    target = {"retention": job.retention, "deep_share": job.deep_share}
    if not scored.count:
        reach = scored.unreachable
        found = {"unreachable": [reach.low, reach.high]} if reach else {}
        nothing: dict[str, Any] = {"retention": None, "flops": None, "n": 0, "accuracy": None, "by_category": {}}
        return {"policy": job.policy, **nothing, "target": target, **found}
    flat = [one for said in scored.predictions for one in said]
    interval = wilson(sum(map(sum, scored.right)), scored.count)
    deep = [one.deep_share for one in flat if one.deep_share is not None]
    shares, counts = _by_category(scored, papers)
    differences = {f"vs {one.job.key}": _as_json(scored.minus(one)) for one in rivals if one is not scored}
    return {
        "policy": job.policy,
        "retention": round(fmean(one.retention for one in flat), 5),
        "flops": round(fmean(one.flops for one in flat)),
        "n": scored.count,
        "accuracy": round(interval.value, 5),
        "by_category": shares,
        "target": target,
        "confidence": [round(interval.low, 5), round(interval.high, 5)],
        "vs_all": _as_json(scored.minus(reference)),
        "paired": differences,
        "flops_after_question": round(fmean(one.flops_after for one in flat)),
        "deep_share": round(fmean(deep), 5) if deep else None,
        "n_by_category": counts,
    }


def as_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows for people; figures in per cent and in 10^9 operations."""
    heads = ["policy", "target", "retention", "deep", "GFLOP", "after question", "n", "accuracy", "95 %", "minus all"]
    return table(heads, [_cells(one) for one in rows])


def _cells(one: dict[str, Any]) -> list[str]:
    job = Job(one["policy"], **one["target"])
    if one["accuracy"] is None:
        reach = one.get("unreachable")
        why = f"reaches {100 * reach[0]:.1f} to {100 * reach[1]:.1f} %" if reach else "no questions"
        return [job.policy, job.target, why, *[""] * 7]
    difference = one["vs_all"]
    versus = f"{100 * difference[0]:+.1f} [{100 * difference[1]:+.1f}, {100 * difference[2]:+.1f}]"
    return [
        job.policy,
        job.target,
        f"{100 * one['retention']:.1f}",
        "" if one["deep_share"] is None else f"{100 * one['deep_share']:.1f}",
        f"{one['flops'] / _GIGA:.2f}",
        f"{one['flops_after_question'] / _GIGA:.2f}",
        str(one["n"]),
        f"{100 * one['accuracy']:.1f}",
        "[{:.1f}, {:.1f}]".format(*(100 * end for end in one["confidence"])),
        "" if job.policy == REFERENCE else versus,
    ]


def _by_category(scored: Scored, papers: Sequence[Paper]) -> tuple[dict[str, float], dict[str, int]]:
    marks = defaultdict(list)
    for right, paper in zip(scored.right, papers, strict=True):
        for mark, qa in zip(right, paper.asked, strict=True):
            marks[qa.category].append(mark)
    named = sorted(marks.items())
    return {name: round(fmean(of), 4) for name, of in named}, {name: len(of) for name, of in named}


def _as_json(interval: Interval) -> list[float]:
    return [round(interval.value, 5), round(interval.low, 5), round(interval.high, 5)]
