"""Draw results: see `python -m benchmarks.plots --help` and benchmarks/README.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import MissingPlots
from benchmarks.plots import long, quality, speed
from benchmarks.plots.reading import UnreadableError, read

DRAW: dict[str, Callable[[dict[str, Any], Path, Path], list[Path]]] = {
    "quality": quality.draw,
    "long": long.draw,
    "speed": speed.draw,
}
"""What draws the results of a benchmark."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw; returns the exit status: 0 done, 1 a file holds nothing that can be drawn, or matplotlib is missing."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.plots", description="Plots from what the benchmarks printed, as SVG."
    )
    parser.add_argument("results", type=Path, nargs="+", metavar="FILE", help="what a benchmark printed")
    parser.add_argument(
        "--into", type=Path, metavar="DIR", default=Path("benchmarks/results"), help="where they go (%(default)s)"
    )
    chosen = parser.parse_args(arguments)
    try:
        drawn = [path for source in chosen.results for path in _draw(source, chosen.into)]
    except (UnreadableError, MissingPlots) as error:
        print(f"benchmarks.plots: {error}", file=sys.stderr)
        return 1
    for path in drawn:
        print(path)
    return 0 if drawn else 1


def _draw(source: Path, into: Path) -> list[Path]:
    """All plots of a file; results of benchmarks that have none are passed over."""
    found = [path for result in read(source) if result["bench"] in DRAW for path in _of(result, source, into)]
    if not found:
        print(f"benchmarks.plots: {source} holds nothing that is drawn here", file=sys.stderr)
    return found


def _of(result: dict[str, Any], source: Path, into: Path) -> list[Path]:
    try:
        import matplotlib
    except ImportError as error:
        raise MissingPlots("plots need matplotlib: pip install 'omnidrop-live[bench]'") from error
    # the same numbers give the same file, to the byte; text stays text
    with matplotlib.rc_context({"svg.hashsalt": source.name, "svg.fonttype": "none"}):
        return DRAW[result["bench"]](result, source, into)


if __name__ == "__main__":
    sys.exit(main())
