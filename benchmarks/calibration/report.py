"""What a calibration found: for people, for programs, and as a configuration file. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

import yaml

from benchmarks.calibration.choose import Choice
from benchmarks.calibration.settings import Setting
from benchmarks.calibration.sitting import Marks
from benchmarks.report import table
from benchmarks.statistics import wilson

__all__ = ["as_json", "as_table", "as_yaml"]


def as_json(choice: Choice, everything: Setting) -> dict[str, Any]:
    """The choice, scores of the first rounds, and the last round with Wilson's intervals."""
    difference = choice.difference
    return {
        "chosen": asdict(choice.chosen),
        "default": asdict(choice.default),
        "challenger": None if choice.challenger is None else asdict(choice.challenger),
        "difference": None if difference is None else [round(one, 5) for one in asdict(difference).values()],
        "rounds": [
            [asdict(score.setting) | {"right": score.right, "asked": score.asked} for score in scores]
            for scores in choice.rounds
        ],
        "final": [
            asdict(setting) | {"everything": setting == everything} | _measured(marks)
            for setting, marks in choice.final.items()
        ],
    }


def as_table(choice: Choice, everything: Setting) -> str:
    """The rounds one after the other, best first."""
    cells = [
        [f"{number}", str(score.setting), f"{score.asked}", f"{100 * score.right / score.asked:.1f}", "", ""]
        for number, scores in enumerate(choice.rounds, start=1)
        for score in scores
    ]
    for setting, marks in choice.final.items():
        found = _measured(marks)
        low, high = (100 * end for end in found["confidence"])
        name = f"{setting} ({'default' if setting == choice.default else 'chosen'})"
        if setting == everything:
            name = "nothing dropped after compression"
        elif setting not in (choice.chosen, choice.default):
            name = f"{setting} (best other)"
        accuracy, retention = f"{100 * found['accuracy']:.1f}", f"{100 * found['realised_retention']:.1f}"
        cells.append(["last", name, f"{found['n']}", accuracy, f"[{low:.1f}, {high:.1f}]", retention])
    text = table(["round", "setting", "n", "% right", "95 %", "retention %"], cells, left=(0, 1))
    if choice.difference is not None:
        value, low, high = (100 * one for one in asdict(choice.difference).values())
        verdict = "chosen" if choice.chosen == choice.challenger else "the default stays"
        text += f"\nbest other minus default, paired: {value:+.1f} points [{low:+.1f}, {high:+.1f}]: {verdict}"
    return text


def as_yaml(engine: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """A configuration file that says in its head how it came about."""
    by_setting = {_key(one): one for one in result["final"]}
    chosen, whole = by_setting[_key(result["chosen"])], next(one for one in result["final"] if one["everything"])
    asked = (
        f"benchmark {result['benchmark']}"
        if result["benchmark"]
        else (f"SceneQA, {result['split']} streams of {result['windows']} windows, seeds from {result['seed']}")
    )
    target = "retention" if result["deep_share"] is None else "deep_share"
    lines = [
        f"Chosen by `omnidrop calibrate` for {target} {result[target]:g} on {result['date']}, {result['hardware']}.",
        f"Asked: {asked}; {chosen['n']} questions on streams that chose nothing.",
        f"Right: {100 * chosen['accuracy']:.1f} % at a retention of {100 * chosen['realised_retention']:.1f} %, "
        f"{100 * whole['accuracy']:.1f} % with nothing dropped after compression.",
    ]
    if result["difference"] is not None:
        value, low, high = (100 * one for one in result["difference"])
        kept = "it was taken" if result["chosen"] == result["challenger"] else "the default was kept"
        lines.append(
            f"The best other setting minus the default: {value:+.1f} points [{low:+.1f}, {high:+.1f}]; {kept}."
        )
    return "".join(f"# {line}\n" for line in lines) + yaml.safe_dump({"engine": dict(engine)}, sort_keys=False)


def _key(setting: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(setting[name] for name in Setting.__slots__)


def _measured(marks: Sequence[Marks]) -> dict[str, Any]:
    right = [one for some in marks for one in some.right]
    interval = wilson(sum(right), len(right))
    return {
        "n": len(right),
        "accuracy": round(interval.value, 5),
        "confidence": [round(interval.low, 5), round(interval.high, 5)],
        "realised_retention": round(fmean(one for some in marks for one in some.retention), 5),
        "realised_deep_share": round(fmean(one for some in marks for one in some.deep_share), 5),
    }
