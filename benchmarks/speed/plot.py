"""The time to the first token against the age of a session, with what it consists of."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import canvas, save
from benchmarks.speed.bench import Row
from benchmarks.speed.journal import Journal
from benchmarks.speed.measures import age

__all__ = ["draw"]

_LABELS = {
    "encode_ms": "encode the last second",
    "fuse_ms": "fuse it",
    "question_ms": "question, shallow layers",
    "guide_ms": "guide, deep layers",
    "first_step_ms": "first step",
}


def draw(journal: Journal, path: Path) -> None:
    """One panel a model, one bar an age.

    Raises:
        MissingPlots: matplotlib is not installed.
    """
    known = {model: ages for model in journal.models if (ages := _ages(journal, model))}
    figure, panels = canvas(max(1, len(known)), width=4.5)
    for panel, (model, ages) in zip(panels, known.items(), strict=False):
        names, bottom = [f"{minutes} min" for minutes in ages], [0.0] * len(ages)
        for part, label in _LABELS.items():
            heights = [float(row.parts[part]) for row in ages.values()]
            panel.bar(names, heights, bottom=bottom, label=label, width=0.6)
            bottom = [low + more for low, more in zip(bottom, heights, strict=True)]
        panel.set_title(f"{model}, budget {journal.run['models'].get(model, {}).get('budget', '?')} tokens")
        panel.set_xlabel("age of the session")
        panel.set_ylabel("question known to first token, ms")
        panel.set_ylim(0, 1.35 * max(bottom))
        panel.legend(fontsize=8, ncols=2, frameon=False, loc="upper center")
    save(figure, path, f"{journal.run['hardware']}, {journal.run['dtype']}; medians")


def _ages(journal: Journal, model: str) -> dict[int, Row]:
    """Rows by minutes, the youngest first."""
    found: dict[int, Row] = {}
    for entry in journal.entries(model):
        kind, _, minutes = entry.measure.partition("-")
        if kind == "age" and minutes.isdigit():
            found |= {int(minutes): row for row in entry.rows if row.name == age.TOTAL.format(minutes)}
    return dict(sorted(found.items()))
