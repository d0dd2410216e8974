"""Accuracy against retention and against operations, and who survives where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import canvas, save
from benchmarks.plots.look import Line, curves, style
from benchmarks.plots.reading import about
from benchmarks.quality.jobs import LIVE, REFERENCE, Job

__all__ = ["draw"]

_GIGA = 1e9
_PANELS = 4
_GREY = "0.5"
_TICKS = [digit * 10.0**power for power in range(-3, 6) for digit in (1, 2, 5)]
"""Of logarithmic axes: 3B and 7B models take thousands of GFLOP."""


def draw(result: dict[str, Any], source: Path, into: Path) -> list[Path]:
    """Write the plots of one result; returns their paths."""
    name = f"quality-{result['split']}-{result['windows']}-{Path(result['model']).name}"
    paths = [into / f"{name}-{kind}.svg" for kind in ("retention", "flops", "survivors")]
    _retention(result, source, paths[0])
    _flops(result, source, paths[1])
    return paths[: 2 + _survivors(result, source, paths[2])]


def _retention(result: dict[str, Any], source: Path, path: Path) -> None:
    figure, (panel,) = canvas(width=7.5, height=4.8)
    panel.set_xlabel("retention: tokens that enter a layer, mean over layers, % of all")
    _accuracy(panel, result, "retention", 100)
    panel.set_title(_title(result))
    save(figure, path, about(result, source))


def _flops(result: dict[str, Any], source: Path, path: Path) -> None:
    figure, panels = canvas(2, width=7.0, height=4.8)
    for panel, key, what in (
        (panels[0], "flops_in_store", "each method in a store like the live one (shallow layers kept)"),
        (panels[1], "flops_after_question", "all that does not need the question kept, in every layer"),
    ):
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter("")
        panel.set_xlabel(f"GFLOP after the question; {what}")
        _accuracy(panel, result, key, 1 / _GIGA)
        low, high = panel.get_xlim()
        panel.set_xticks([tick for tick in _TICKS if low <= tick <= high])
    panels[0].set_title(_title(result))
    save(figure, path, about(result, source))


def _accuracy(panel: Any, result: dict[str, Any], key: str, scale: float) -> None:
    """One curve a method through all of its rows that were reached."""
    panel.set_ylabel("exactly right, % (95 % bands)")
    rows = [row for row in result["rows"] if row["accuracy"] is not None]
    (whole,) = [row for row in rows if row["policy"] == REFERENCE]
    low = min(row["confidence"][0] for row in rows)
    panel.set_ylim(max(0.0, 100 * low - 5), 103)
    panel.axhline(100 * whole["accuracy"], color=_GREY, linewidth=1, linestyle=":")
    names = list(dict.fromkeys(row["policy"] for row in rows))
    rivals = [name for name in names if name not in LIVE and name != REFERENCE]
    lines = []
    for name in names:
        if name == REFERENCE:
            continue
        points = sorted(
            (row[key] * scale, row["accuracy"], *row["confidence"]) for row in rows if row["policy"] == name
        )
        x, y, lows, highs = (list(column) for column in zip(*points, strict=True))
        number = list(LIVE).index(name) if name in LIVE else rivals.index(name)
        lines.append(Line(name, x, y, lows, highs, style(number, ours=name in LIVE)))
    curves(panel, lines)
    panel.text(0.01, 100 * whole["accuracy"] + 0.4, "all tokens", color=_GREY, fontsize=8, transform=_across(panel))


def _across(panel: Any) -> Any:
    """x as a share of the panel, y as data."""
    return panel.get_yaxis_transform()


def _survivors(result: dict[str, Any], source: Path, path: Path) -> bool:
    """Up to four rows beside each other: live ones first, then rivals that equal one; False where there are none."""
    chosen = _shown(result["rows"])
    if not chosen:
        return False
    figure, panels = canvas(len(chosen), width=3.2, height=3.6)
    for panel, row in zip(panels, chosen, strict=True):
        shares = 100 * np.asarray(row["survivors"])
        mesh = panel.imshow(
            shares, aspect="auto", origin="upper", cmap="viridis", vmin=0, vmax=60, interpolation="none"
        )
        panel.grid(visible=False)
        panel.set_title(f"{row['policy']}, {Job(row['policy'], **row['target']).target}", fontsize=9)
        panel.set_xlabel("window of 2 s, oldest first")
    panels[0].set_ylabel("layer")
    figure.colorbar(mesh, ax=panels, label="of a window's tokens, %", extend="max")
    save(figure, path, about(result, source))
    return True


def _shown(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    reached = [row for row in rows if row["accuracy"] is not None]
    live = [row for row in reached if row["policy"] == "live" and row["target"]["deep_share"] is not None]
    equal = [row for row in reached if row["target"]["retention_of"] is not None and row["policy"] not in ("random",)]
    guided = sorted(equal, key=lambda row: -row["accuracy"])
    return [*live[:2], *guided][:_PANELS]


def _title(result: dict[str, Any]) -> str:
    counts = sorted({row["n"] for row in result["rows"] if row["n"]})
    asked = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    return f"{result['model']}, {result['split']} scenes, {result['windows']} windows, {asked} questions a point"
