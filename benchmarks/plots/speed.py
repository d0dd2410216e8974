"""The time to the first token against the age of a session, with what it consists of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.figures import canvas, save
from benchmarks.plots.reading import about

__all__ = ["draw"]

_PARTS = {
    "encode_ms": "encode the last second",
    "fuse_ms": "fuse it",
    "question_ms": "question, shallow layers",
    "guide_ms": "guide, deep layers",
    "first_step_ms": "first step",
}
_HEAD = 1.35
"""Room for the legend above the highest bar."""


def draw(result: dict[str, Any], source: Path, into: Path) -> list[Path]:
    """One panel a model, one bar an age; returns the path, or none where no session was asked."""
    known = {model: ages for model in result.get("models", ()) if (ages := _ages(result, model))}
    if not known:
        return []
    figure, panels = canvas(len(known), width=4.5)
    for panel, (model, ages) in zip(panels, known.items(), strict=True):
        names, bottom = [f"{minutes} min" for minutes in ages], [0.0] * len(ages)
        for part, label in _PARTS.items():
            heights = [parts[part] for parts in ages.values()]
            panel.bar(names, heights, bottom=bottom, label=label, width=0.6)
            bottom = [low + more for low, more in zip(bottom, heights, strict=True)]
        panel.set_title(f"{Path(model).name}, budget {result['models'][model]['budget']:,} tokens", fontsize=10)
        panel.set_xlabel("age of the session")
        panel.set_ylabel("question known to first token, ms")
        panel.set_ylim(0, _HEAD * max(bottom))
        panel.legend(fontsize=8, ncols=2, frameon=False, loc="upper center")
    path = into / f"speed-{'-'.join(Path(model).name for model in known)}-{result['device'].partition(':')[0]}-age.svg"
    save(figure, path, about(result, source))
    return [path]


def _ages(result: dict[str, Any], model: str) -> dict[int, dict[str, float]]:
    """Parts by minutes, the youngest first."""
    found = {}
    for row in result["rows"]:
        kind, _, minutes = row["measure"].partition("-")
        if row["model"] == model and kind == "age" and row["name"] == f"first token at {minutes} min":
            found[int(minutes)] = row["parts"]
    return dict(sorted(found.items()))
