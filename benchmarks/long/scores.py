"""From answers to recall by age, ratios between ways to forget, and what the targets ask for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from statistics import fmean, median
from typing import Any

import numpy as np

from benchmarks.long.sitting import Answer, Vital
from benchmarks.report import table
from benchmarks.statistics import Interval, ratio, wilson

__all__ = ["as_table", "recall_rows", "targets", "targets_table"]

OLD, YOUNG = 10, 1
"""Minutes of age that the targets speak of."""
UNIFORM = ("uniform_windows", "uniform_tokens")
_LATE, _EARLY = 60, 5
_WARM = 0.25
_POINTS = 40
_MET = {True: "yes", False: "no", None: "?"}


def recall_rows(answers: Sequence[Answer], vitals: Sequence[Vital]) -> list[dict[str, Any]]:
    """A row for each way to forget: recall by age with Wilson's interval, what the store still held, coverage."""
    rows = []
    for rule in dict.fromkeys(one.rule for one in answers):
        own = [one for one in answers if one.rule == rule]
        last = max(one.minute for one in vitals)
        end = [one for one in vitals if one.rule == rule and one.minute == last]
        rows.append(
            {
                "rule": rule,
                "n": len(own),
                "recall": _share(own),
                "by_age": {age: _of_age(own, age) for age in sorted({one.age_minutes for one in own})},
                "by_category": {name: _of_category(own, name) for name in sorted({one.category for one in own})},
                "coverage": round(fmean(one.coverage for one in end), 4),
                "windows": round(fmean(one.windows for one in end), 1),
                "tokens": round(fmean(one.tokens for one in end), 1),
            }
        )
    return rows


def targets(answers: Sequence[Answer], vitals: Sequence[Vital], computed_bytes: int) -> list[dict[str, Any]]:
    """What the long split is to show: each figure with its bound, and None where this run cannot tell."""
    rules = {one.rule for one in answers}
    found = []
    if {"live", "window"} <= rules:
        found.append(_against(answers, "window", 2.0))
    rivals = [rule for rule in UNIFORM if rule in rules]
    if "live" in rules and rivals:
        best = max(rivals, key=lambda rule: sum(one.right for one in _aged(answers, rule, OLD)))
        found.append(_against(answers, best, 1.3))
    if "live" in rules:
        found.append(_kept(answers))
    found += [one for one in (_bytes(vitals, computed_bytes), _growth(vitals), _ttft(vitals)) if one is not None]
    return found


def as_table(rows: Sequence[dict[str, Any]]) -> str:
    """Recall by age in per cent, with the share of the questions' windows that were still held."""
    ages = sorted({age for row in rows for age in row["by_age"]})
    heads = ["forgets by", "n", "recall", *(f"{age} min" for age in ages), "coverage", "windows", "tokens"]
    return table(heads, [_cells(row, ages) for row in rows])


def targets_table(found: Sequence[dict[str, Any]]) -> str:
    """Figures beside their bounds."""
    heads = ["figure", "value", "95 %", "target", "met"]
    return table(heads, [_target_cells(one) for one in found])


def _share(answers: Sequence[Answer]) -> list[float | None]:
    return _json(wilson(sum(one.right for one in answers), len(answers)))


def _of_age(answers: Sequence[Answer], age: int) -> dict[str, Any]:
    own = [one for one in answers if one.age_minutes == age]
    return {
        "n": len(own),
        "recall": _share(own),
        "held": round(fmean(one.held for one in own), 4),
        "tokens": round(fmean(one.tokens for one in own), 1),
    }


def _of_category(answers: Sequence[Answer], name: str) -> dict[str, Any]:
    own = [one for one in answers if one.category == name]
    return {"n": len(own), "recall": round(fmean(one.right for one in own), 4)}


def _aged(answers: Sequence[Answer], rule: str, age: int) -> list[Answer]:
    return [one for one in answers if one.rule == rule and one.age_minutes == age]


def _against(answers: Sequence[Answer], rival: str, bound: float) -> dict[str, Any]:
    """Recall of the live store over another's, at the old age; paired, whole streams drawn."""
    mine, its = _aged(answers, "live", OLD), _aged(answers, rival, OLD)
    clusters = [
        (sum(one.right for one in mine if one.seed == seed), sum(one.right for one in its if one.seed == seed))
        for seed in sorted({one.seed for one in mine})
    ]
    name = f"recall at {OLD} min, live ÷ {rival}"
    found = _judged(name, ratio(clusters) if clusters else None, bound, least=True)
    if clusters and found["value"] is None:  # any recall is more than any multiple of none
        found["met"] = any(mine for mine, _ in clusters)
    return found


def _kept(answers: Sequence[Answer]) -> dict[str, Any]:
    """Recall of old events over that of young ones: a ratio of two shares."""
    old, young = _aged(answers, "live", OLD), _aged(answers, "live", YOUNG)
    seeds = sorted({one.seed for one in [*old, *young]})
    # the shares' denominators differ: scaled so that the ratio of sums is that of the shares
    clusters = [
        (
            sum(one.right for one in old if one.seed == seed) * len(young),
            sum(one.right for one in young if one.seed == seed) * len(old),
        )
        for seed in seeds
    ]
    found = ratio(clusters) if old and young else None
    return _judged(f"recall at {OLD} min ÷ at {YOUNG} min, live", found, 0.7, least=True)


def _bytes(vitals: Sequence[Vital], computed: int) -> dict[str, Any] | None:
    held = [one.session_bytes for one in vitals if one.session_bytes is not None]
    if not held:
        return None
    return _plain("bytes of a session, counted ÷ computed", max(held) / computed, 1.05)


def _growth(vitals: Sequence[Vital]) -> dict[str, Any] | None:
    """Resident memory of the whole process: what a line through it rises in an hour of stream, of its mean."""
    by_minute: dict[int, list[float]] = {}
    for one in vitals:
        by_minute.setdefault(one.minute, []).append(one.resident_mib)
    minutes = sorted(by_minute)
    late = [minute for minute in minutes if minute >= _WARM * minutes[-1]]
    if len(late) < 10:
        return None
    held = np.asarray([fmean(by_minute[minute]) for minute in late])
    rise, _ = np.polyfit(np.asarray(late, dtype=np.float64), held, 1)
    return _plain("resident memory, growth an hour of stream ÷ mean", 60 * float(rise) / float(held.mean()), 0.05)


def _ttft(vitals: Sequence[Vital]) -> dict[str, Any] | None:
    times = {one.minute: one.ttft_ms for one in vitals if one.ttft_ms is not None}
    if not {_LATE, _EARLY} <= times.keys():
        return None
    return _plain(f"first token at {_LATE} min ÷ at {_EARLY} min", times[_LATE] / times[_EARLY], 1.2)


def _judged(name: str, found: Interval | None, bound: float, *, least: bool) -> dict[str, Any]:
    value = None if found is None else _json(found)
    met = found is not None and (found.value >= bound if least else found.value <= bound)
    return {"name": name, "value": value, "target": bound, "least": least, "met": met if found else None}


def _plain(name: str, value: float, bound: float) -> dict[str, Any]:
    ends = [round(value, 4), None, None]
    return {"name": name, "value": ends, "target": bound, "least": False, "met": value <= bound}


def _json(interval: Interval) -> list[float | None]:
    return [round(end, 4) if isfinite(end) else None for end in (interval.value, interval.low, interval.high)]


def _cells(row: dict[str, Any], ages: Sequence[int]) -> list[str]:
    cells = [row["rule"], str(row["n"]), f"{100 * row['recall'][0]:.1f}"]
    for age in ages:
        one = row["by_age"].get(age)
        if one is None:
            cells.append("")
            continue
        low, high = (100 * end for end in one["recall"][1:])
        cells.append(f"{100 * one['recall'][0]:.1f} [{low:.0f}, {high:.0f}] ({100 * one['held']:.0f})")
    return [*cells, f"{100 * row['coverage']:.1f}", f"{row['windows']:.0f}", f"{row['tokens']:.0f}"]


def _target_cells(one: dict[str, Any]) -> list[str]:
    sign = ">=" if one["least"] else "<="
    if one["value"] is None:
        return [one["name"], "none to divide by", "", f"{sign} {one['target']:g}", _MET[one["met"]]]
    value, low, high = one["value"]
    ends = "" if low is None else f"[{low:.2f}, {'inf' if high is None else f'{high:.2f}'}]"
    return [one["name"], f"{value:.3f}", ends, f"{sign} {one['target']:g}", _MET[one["met"]]]


def curve(vitals: Sequence[Vital]) -> list[dict[str, Any]]:
    """The timed session by minute, the median of repeated figures having been taken before; for plots.

    Of a long one every minute that was timed, the last, and others evenly spaced, so that a result stays readable.
    """
    if not vitals:
        return []
    rule, seed = vitals[0].rule, vitals[0].seed
    own = [one for one in vitals if (one.rule, one.seed) == (rule, seed)]
    every = -(-max(one.minute for one in own) // _POINTS)
    own = [one for one in own if not one.minute % every or one.ttft_ms is not None or one is own[-1]]
    resident = {minute: median(one.resident_mib for one in vitals if one.minute == minute) for minute in _minutes(own)}
    return [
        {
            "minute": one.minute,
            "ttft_ms": _short(one.ttft_ms),
            "encode_ms": _short(one.encode_ms),
            "fuse_ms": _short(one.fuse_ms),
            "guide_ms": _short(one.guide_ms),
            "step_ms": _short(one.step_ms),
            "session_bytes": one.session_bytes,
            "resident_mib": round(resident[one.minute], 1),
            "tokens": one.tokens,
            "text": one.text,
            "windows": one.windows,
            "coverage": round(one.coverage, 4),
        }
        for one in own
    ]


def _minutes(vitals: Sequence[Vital]) -> list[int]:
    return sorted({one.minute for one in vitals})


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
