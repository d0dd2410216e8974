"""The live form against every rival, paired: at equal retention, and at equal operations after the question. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.quality.jobs import REFERENCE
from benchmarks.quality.scores import Scored, as_json
from benchmarks.report import table

__all__ = ["comparisons", "comparisons_table"]

_GIGA = 1e9
MEANINGS = {
    "retention": "retention",
    "flops": "FLOPs, same store",
    "flops_streamed": "FLOPs, all streamed",
}


def comparisons(scored: Sequence[Scored]) -> list[dict[str, Any]]:
    """Every live row at a deep share against every rival's row that equals it.

    `equal` is "retention" or "flops" for rows that were set so, and "flops_streamed" for the rival's most accurate row
    of this run that takes at most the live row's operations after the question when all that does not depend on it was
    computed before, in all layers: methods that choose without the question, keeping everything included, then take
    hardly any, and pay in memory.
    """
    found = []
    for live in scored:
        share = live.job.deep_share
        if live.job.policy != "live" or share is None or not live.count:
            continue
        found += [
            _against(live, other, "retention" if other.job.flops_of is None else "flops", scored[0])
            for other in scored
            if other.job.model == share
        ]
        found += [_against(live, other, "flops_streamed", scored[0]) for other in _cheapest(live, scored)]
    return found


def comparisons_table(found: Sequence[dict[str, Any]]) -> str:
    """For people, in points."""
    heads = ["live at deep", "equal", "against", "its retention", "headroom", "n", "live minus it", "95 %"]
    return table(heads, [_cells(one) for one in found], left=(0, 1, 2))


def _cheapest(live: Scored, scored: Sequence[Scored]) -> list[Scored]:
    """Of each rival the most accurate row within the live row's operations."""
    limit = _mean_after(live)
    best: dict[str, Scored] = {}
    for other in scored:
        if other.job.policy.startswith("live") or not other.count or _mean_after(other) > limit:
            continue
        held = best.get(other.job.policy)
        if held is None or other.accuracy > held.accuracy:
            best[other.job.policy] = other
    return list(best.values())


def _mean_after(scored: Scored) -> float:
    flat = scored.predictions
    return sum(one.flops_after for one in flat) / len(flat)


def _against(live: Scored, other: Scored, equal: str, reference: Scored) -> dict[str, Any]:
    told = {"deep_share": live.job.deep_share, "equal": equal, "policy": other.job.policy}
    if not other.count:
        lost = other.unreachable
        reach = None if lost is None else [lost.low, lost.high]
        return {**told, "n": 0, "difference": None, "headroom": None, "unreachable": reach}
    flat = other.predictions
    retention = sum(one.retention for one in flat) / len(flat)
    return {
        **told,
        "n": min(live.count, other.count),
        "retention": round(retention, 5),
        "difference": as_json(live.minus(other)),
        "headroom": None if other.job.policy == REFERENCE else as_json(reference.minus(other)),
    }


def _cells(one: dict[str, Any]) -> list[str]:
    head = [f"{100 * one['deep_share']:g} %", MEANINGS[one["equal"]], one["policy"]]
    if one["difference"] is None:
        reach = one["unreachable"]
        if reach is None:
            return [*head, "", "", "0", "", ""]
        unit = (1e-2, " %") if one["equal"] == "retention" else (_GIGA, " GFLOP")
        return [*head, "out of reach", "", "0", "", f"{reach[0] / unit[0]:.1f} to {reach[1] / unit[0]:.1f}{unit[1]}"]
    value, low, high = one["difference"]
    headroom = "" if one["headroom"] is None else f"{100 * one['headroom'][0]:.1f}"
    numbers = [f"{100 * one['retention']:.1f} %", headroom, str(one["n"])]
    return [*head, *numbers, f"{100 * value:+.1f}", f"[{100 * low:+.1f}, {100 * high:+.1f}]"]
