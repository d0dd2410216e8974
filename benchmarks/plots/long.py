"""Recall against the age of what is asked about; time to the first token and memory against the age of the session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.figures import COLOURS, canvas, save
from benchmarks.plots.look import Line, curves, label_ends, style
from benchmarks.plots.reading import about

__all__ = ["draw"]

_MIB = 2**20
_POINTS = 3
"""Ages of a session that make a curve."""
_PARTS = {"guide_ms": "guide", "encode_ms": "encode a window", "fuse_ms": "fuse it", "step_ms": "first step"}


def draw(result: dict[str, Any], source: Path, into: Path) -> list[Path]:
    """Write the plots of one result; returns their paths."""
    name = f"long-{result['minutes']}-{Path(result['model']).name}"
    paths = [into / f"{name}-{kind}.svg" for kind in ("recall", "session")]
    drawn = []
    if any(len(row["by_age"]) > 1 for row in result["rows"]):
        _recall(result, source, paths[0])
        drawn.append(paths[0])
    if sum(one["ttft_ms"] is not None for one in result["curve"]) >= _POINTS:
        _session(result, source, paths[1])
        drawn.append(paths[1])
    return drawn


def _recall(result: dict[str, Any], source: Path, path: Path) -> None:
    figure, (panel, other) = canvas(2, width=6.0, height=4.2)
    others = [row["rule"] for row in result["rows"] if row["rule"] != "live"]
    held, asked = [], []
    for row in result["rows"]:
        ours = row["rule"] == "live"
        own = style(0 if ours else others.index(row["rule"]), ours=ours)
        ages = sorted(row["by_age"], key=int)
        x = [float(age) for age in ages]
        points = [row["by_age"][age] for age in ages]
        y, low, high = zip(*(point["recall"] for point in points), strict=True)
        asked.append(Line(row["rule"], x, y, low, high, own))
        share = [point["held"] for point in points]
        held.append(Line(row["rule"], x, share, share, share, own))
    for one in (panel, other):
        one.set_xscale("log")
        one.set_xticks(x, [f"{value:g}" for value in x])
        one.minorticks_off()
        one.set_ylim(-3, 103)
        one.set_xlabel("age of the event, minutes")
    panel.set_ylabel("exactly right, % (95 % bands)")
    other.set_ylabel("of the event's windows still represented, %")
    curves(panel, asked)
    curves(other, held)
    counts = sum(row["n"] for row in result["rows"]) // len(result["rows"])
    panel.set_title(f"{result['model']}, budget {result['budget']:,} tokens, {counts} questions a rule", fontsize=10)
    save(figure, path, about(result, source))


def _session(result: dict[str, Any], source: Path, path: Path) -> None:
    figure, (times, memory) = canvas(2, width=6.0, height=4.0)
    timed = [one for one in result["curve"] if one["ttft_ms"] is not None]
    minutes = [one["minute"] for one in timed]
    total = [one["ttft_ms"] for one in timed]
    times.plot(minutes, total, color="black", linewidth=2, marker="o", markersize=4)
    ends = [("all", minutes[-1], total[-1], "black")]
    for (part, label), colour in zip(_PARTS.items(), COLOURS, strict=False):
        values = [one[part] for one in timed]
        times.plot(minutes, values, color=colour, linewidth=1.3, marker=".")
        ends.append((label, minutes[-1], values[-1], colour))
    times.set_ylim(0, 1.2 * max(total))
    label_ends(times, ends)
    times.set_xlabel("age of the session, minutes")
    times.set_ylabel("question known to first token, ms")
    _memory(memory, result)
    save(figure, path, about(result, source))


def _memory(panel: Any, result: dict[str, Any]) -> None:
    """Resident memory of the process, and what the session holds against what was computed before it began."""
    points = result["curve"]
    minutes = [one["minute"] for one in points]
    resident = [one["resident_mib"] for one in points]
    panel.plot(minutes, resident, color=COLOURS[0], linewidth=1.5)
    computed = result["computed_bytes"] / _MIB
    panel.axhline(computed, color="0.5", linewidth=1, linestyle=":")
    ends = [("process", minutes[-1], resident[-1], COLOURS[0]), ("computed", minutes[-1], computed, "0.5")]
    counted = [(one["minute"], one["session_bytes"] / _MIB) for one in points if one["session_bytes"] is not None]
    if counted:
        at, held = zip(*counted, strict=True)
        panel.plot(at, held, color=COLOURS[4], marker="o", markersize=4, linewidth=1.5)
        ends.append(("session", at[-1], held[-1], COLOURS[4]))
    panel.set_ylim(0, 1.15 * max(*resident, computed))
    panel.set_xlabel("age of the session, minutes")
    panel.set_ylabel("memory, MiB")
    label_ends(panel, ends)
