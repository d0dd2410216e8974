"""What a journal holds, as a table for people and as one object for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.report import table
from benchmarks.speed.bench import Row
from benchmarks.speed.journal import Entry, Journal
from benchmarks.speed.measures import measures
from benchmarks.speed.targets import Ratio, ratios

__all__ = ["as_json", "as_line", "as_text"]

_DIGITS = 5


def as_text(journal: Journal) -> str:
    """Figures, ratios and failures of every model."""
    parts = []
    for model in journal.models:
        entries = _entries(journal, model)
        rows = [row for entry in entries for row in entry.rows]
        heads = [model, "value", "least", "most", "n", "floor", "× floor", "parts"]
        parts.append(table(heads, [_cells(row) for row in rows], left=(0, 7)))
        reached = [_judged(one) for one in ratios(model, rows)]
        if reached:
            parts.append(table([f"{model}: ratio", "value", "first", "goal", ""], reached, left=(0, 4)))
        parts += [f"{model}: {entry.measure} failed: {entry.failed}" for entry in entries if entry.failed]
    return "\n\n".join(parts)


def as_line(entry: Entry) -> str:
    """One measurement, as soon as it is done."""
    if entry.failed is not None:
        return f"{entry.model} {entry.measure}: failed after {entry.seconds:.1f} s: {entry.failed}"
    told = "; ".join(f"{row.name} {row.value:.4g} {row.unit}".rstrip() for row in entry.rows)
    return f"{entry.model} {entry.measure} ({entry.seconds:.1f} s): {told}"


def as_json(journal: Journal) -> dict[str, Any]:
    """Everything."""
    rows, reached, failed = [], [], []
    for model in journal.models:
        entries = _entries(journal, model)
        for entry in entries:
            told = {"model": model, "measure": entry.measure, "at": entry.at}
            rows += [told | _plain(row) for row in entry.rows]
            if entry.failed is not None:
                failed.append(told | {"why": entry.failed})
        whole = ratios(model, [row for entry in entries for row in entry.rows])
        reached += [
            {"model": model} | asdict(one) | {"value": round(one.value, _DIGITS), "verdict": one.verdict}
            for one in whole
        ]
    clocks = {f"{m} {entry.measure}": entry.clocks for m in journal.models for entry in _entries(journal, m)}
    known = {name: told for name, told in clocks.items() if told is not None}
    found = {"bench": "speed", "rows": rows, "ratios": reached, "failed": failed, "clocks": known}
    hosts = sorted({entry.hardware for model in journal.models for entry in _entries(journal, model)})
    weights = {told["weights"] for told in journal.run.get("models", {}).values()}
    when = max((row["at"] for row in [*rows, *failed]), default="")
    return found | {"measured_on": hosts, "weights": ", ".join(sorted(weights)), "date": when} | journal.run


def _judged(one: Ratio) -> list[str]:
    return [one.name, f"{one.value:.4f}", f"{one.first:.4g}", f"{one.goal:.4g}", one.verdict]


def _entries(journal: Journal, model: str) -> list[Entry]:
    return journal.entries(model, tuple(measures((1, 5, 20, 60))))


def _plain(row: Row) -> dict[str, Any]:
    """Without what is not known, rounded."""
    found = {name: _rounded(value) for name, value in asdict(row).items() if value is not None and value != {}}
    return found | ({"parts": {name: _rounded(value) for name, value in row.parts.items()}} if row.parts else {})


def _rounded(value: Any) -> Any:
    return round(value, _DIGITS) if isinstance(value, float) and abs(value) >= 1e-3 else value


def _cells(row: Row) -> Sequence[str]:
    """As a row of the table: least and most only of what was timed more than once."""
    spread = [f"{row.low:.3f}", f"{row.high:.3f}"] if row.low is not None and row.high is not None else ["", ""]
    floor = ["", ""] if row.floor is None else [f"{row.floor:.3f}", f"{row.value / row.floor:.1f}"]
    value = f"{row.value:.3f}" if abs(row.value) >= 0.1 else f"{row.value:.3g}"
    parts = ", ".join(f"{name} {_short(part)}" for name, part in row.parts.items())
    return [row.name, f"{value} {row.unit}".rstrip(), *spread, str(row.count), *floor, parts]


def _short(part: float | str) -> str:
    return part if isinstance(part, str) else f"{part:.4g}" if isinstance(part, float) else str(part)
