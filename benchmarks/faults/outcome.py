"""What a scenario found: promises that held or did not, and figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchmarks.report import table


@dataclass(slots=True)
class Outcome:
    """One scenario's result.

    Attributes:
        checks: promises, and whether each held.
        figures: counts, milliseconds, seconds or bytes, as their names say.
        columns: figures over time, by name, each as long as the others; empty when nothing was watched.
    """

    name: str
    checks: dict[str, bool] = field(default_factory=dict)
    figures: dict[str, float | int | None] = field(default_factory=dict)
    columns: dict[str, list[float]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return bool(self.checks) and all(self.checks.values())

    def check(self, promise: str, holds: bool) -> None:
        """Note whether a promise held; once broken it stays so."""
        self.checks[promise] = holds and self.checks.get(promise, True)

    def as_json(self) -> dict[str, Any]:
        return {"passed": self.passed, "checks": self.checks, **self.figures} | (
            {"over_time": self.columns} if self.columns else {}
        )


def report(outcomes: list[Outcome]) -> str:
    """A table of promises, and below it each scenario's figures."""
    rows = [(one.name, promise, "yes" if held else "NO") for one in outcomes for promise, held in one.checks.items()]
    figures = [
        f"{one.name}: " + ", ".join(f"{name} {value}" for name, value in one.figures.items()) for one in outcomes
    ]
    watched = [
        table(tuple(one.columns), [[f"{value:g}" for value in row] for row in zip(*one.columns.values(), strict=True)])
        for one in outcomes
        if one.columns
    ]
    return "\n".join([table(("scenario", "promise", "held"), rows), *figures, *watched])
