"""What a scenario found: promises that held or did not, and figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchmarks.report import table


@dataclass(slots=True)
class Outcome:
    """One scenario's result. ``figures`` are counts, milliseconds, seconds or bytes, as their names say."""

    name: str
    checks: dict[str, bool] = field(default_factory=dict)
    figures: dict[str, float | int | None] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return bool(self.checks) and all(self.checks.values())

    def check(self, promise: str, holds: bool) -> None:
        """Note whether a promise held; once broken it stays so."""
        self.checks[promise] = holds and self.checks.get(promise, True)

    def as_json(self) -> dict[str, Any]:
        return {"passed": self.passed, "checks": self.checks, **self.figures}


def report(outcomes: list[Outcome]) -> str:
    """A table of promises, and below it each scenario's figures."""
    rows = [(one.name, promise, "yes" if held else "NO") for one in outcomes for promise, held in one.checks.items()]
    figures = [
        f"{one.name}: " + ", ".join(f"{name} {value}" for name, value in one.figures.items()) for one in outcomes
    ]
    return "\n".join([table(("scenario", "promise", "held"), rows), *figures])
