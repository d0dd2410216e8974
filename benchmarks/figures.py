"""Plots of results: one look for all of them, no display needed. matplotlib is in the `bench` extra."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "MissingPlots", "canvas", "save"]

COLOURS = ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377", "#bbbbbb")
"""Paul Tol's bright scheme, which most colour-blind people can tell apart."""


class MissingPlots(RuntimeError):
    """matplotlib is not installed."""


def canvas(panels: int = 1, *, width: float = 6.0, height: float = 4.0) -> tuple[Figure, list[Axes]]:
    """A figure with panels side by side, `width` x `height` inches each.

    Raises:
        MissingPlots: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPlots("plots need matplotlib: pip install 'omnidrop-live[bench]'") from error
    figure = Figure(figsize=(panels * width, height), layout="constrained")
    axes: Any = figure.subplots(1, panels, squeeze=False)
    for one in axes[0]:
        one.set_prop_cycle(color=COLOURS)
        one.spines[["top", "right"]].set_visible(False)
        one.grid(axis="y", alpha=0.3)
        one.set_axisbelow(True)
    return figure, list(axes[0])


def save(figure: Figure, path: Path, caption: str = "") -> None:
    """Write a figure as what its name says (.png, .svg, .pdf), with where its numbers come from below it."""
    if caption:
        figure.supxlabel(caption, fontsize=7, color="0.4")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
