"""What all plots of methods share: which line is whose, bands, and names at the ends of lines instead of a legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.figures import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Line", "Style", "curves", "label_ends", "style"]

_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_OURS = "#000000"
_GAP = 0.045
"""Least distance of two names, as a share of the panel's height."""


@dataclass(frozen=True, slots=True)
class Style:
    """How one method is drawn. Colour, dash and marker all differ, so that no one needs to tell colours apart."""

    colour: str
    dash: Any
    marker: str
    width: float


@dataclass(frozen=True, slots=True)
class Line:
    """A method's points, in order of x: shares with the ends of their intervals."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    style: Style


def style(number: int, *, ours: bool) -> Style:
    """The number-th rival's, or ours: black and wide, by number only dashed differently."""
    if ours:
        return Style(_OURS, _DASHES[number % len(_DASHES)], _MARKERS[number % len(_MARKERS)], 2.4)
    colours = COLOURS[:-1]  # the grey is for what is not a method
    dash = _DASHES[(number // len(colours) + number) % len(_DASHES)]
    return Style(colours[number % len(colours)], dash, _MARKERS[number % len(_MARKERS)], 1.3)


def curves(panel: Axes, lines: Sequence[Line]) -> None:
    """Lines with bands, per cent on the y axis, named at their right ends."""
    for line in lines:
        own = line.style
        x, y, low, high = (np.asarray(values) for values in (line.x, line.y, line.low, line.high))
        panel.plot(
            x, 100 * y, color=own.colour, linestyle=own.dash, marker=own.marker, markersize=4, linewidth=own.width
        )
        if len(x) > 1:
            panel.fill_between(x, 100 * low, 100 * high, color=own.colour, alpha=0.1, linewidth=0)
        else:
            panel.errorbar(x, 100 * y, [100 * (y - low), 100 * (high - y)], color=own.colour, linewidth=1, capsize=2)
    label_ends(panel, [(line.name, line.x[-1], 100 * line.y[-1], line.style.colour) for line in lines])


def label_ends(panel: Axes, ends: Sequence[tuple[str, float, float, str]]) -> None:
    """Names beside the panel, at the heights of their lines' ends as far as they do not overlap.

    Args:
        ends: name, x and y of a line's end, colour.
    """
    low, high = panel.get_ylim()
    span = high - low
    order = sorted(range(len(ends)), key=lambda at: ends[at][2])
    heights = spaced([(ends[at][2] - low) / span for at in order], _GAP)
    for at, height in zip(order, heights, strict=True):
        name, x, y, colour = ends[at]
        panel.annotate(
            name,
            xy=(x, y),
            xytext=(1.02, height),
            textcoords="axes fraction",
            color=colour,
            fontsize=8,
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "alpha": 0.35,
                "linewidth": 0.6,
                "shrinkA": 0,
                "shrinkB": 2,
            },
        )


def spaced(wanted: Sequence[float], gap: float) -> list[float]:
    """Ascending heights at least `gap` apart, as near to the wanted ones (ascending) as pushing up and down leaves them
    within 0 and 1; where they do not fit, evenly packed from 0."""
    heights = list(wanted)
    if not heights:
        return heights
    gap = min(gap, 1 / len(heights))
    for at in range(1, len(heights)):
        heights[at] = max(heights[at], heights[at - 1] + gap)
    heights[-1] = min(heights[-1], max(1.0, gap * (len(heights) - 1)))
    for at in range(len(heights) - 2, -1, -1):
        heights[at] = min(heights[at], heights[at + 1] - gap)
    heights[0] = max(heights[0], 0.0)
    for at in range(1, len(heights)):
        heights[at] = max(heights[at], heights[at - 1] + gap)
    return heights
