"""What was measured, on disk as soon as it is known: a run that is cut off goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.speed.bench import Row

__all__ = ["Entry", "Journal", "JournalError"]


class JournalError(ValueError):
    """A journal that belongs to another run, or is no journal."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What came of one measurement.

    Attributes:
        model, measure: what was measured of which model.
        rows: the figures; none where it failed.
        failed: why there are none; None where there are.
        seconds: how long it took, warming up included.
        at: when it ended.
        hardware: on which it was measured.
        clocks: of the GPU just after it, as nvidia-smi tells them.
    """

    model: str
    measure: str
    rows: list[Row] = field(default_factory=list)
    failed: str | None = None
    seconds: float = 0.0
    at: str = ""
    hardware: str = ""
    clocks: str | None = None


class Journal:
    """Entries by model and measure; appended to a file, if there is one.

    Args:
        path: of the file; None keeps them in memory only.
        run: what must be equal for figures to be comparable, and where they are measured; `models` holds, by name, what
            must be equal for each of them. None to take a file's.

    Attributes:
        run: as given, with the models that the file knows besides.

    Raises:
        JournalError: the file is missing, or was written by a run with other settings or on other hardware.
    """

    def __init__(self, path: Path | None, run: Mapping[str, Any] | None) -> None:
        self._path = path
        self._entries: dict[tuple[str, str], Entry] = {}
        self.run: dict[str, Any] = {}
        if path is not None and path.exists() and path.stat().st_size:
            self._read(path)
        elif run is None:
            raise JournalError(f"{path} holds nothing to report")
        elif path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        if run is not None:
            self._begin(json.loads(json.dumps(run)))

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self._entries

    def add(self, entry: Entry) -> None:
        """Note what came of a measurement."""
        self._entries[entry.model, entry.measure] = entry
        self._append(asdict(entry))

    def get(self, model: str, measure: str) -> Entry:
        """Raises KeyError where that is not known."""
        return self._entries[model, measure]

    @property
    def models(self) -> list[str]:
        """That something is known of, in the order in which it became so."""
        return list(dict.fromkeys(model for model, _ in self._entries))

    def entries(self, model: str, order: Sequence[str] = ()) -> list[Entry]:
        """Of a model: those named in `order` first and in it."""
        known = [measure for of, measure in self._entries if of == model]
        names = [name for name in order if name in known] + [name for name in known if name not in order]
        return [self._entries[model, name] for name in names]

    def _append(self, line: Mapping[str, Any]) -> None:
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")

    def _begin(self, run: dict[str, Any]) -> None:
        """A run goes on, perhaps with further models."""
        known = self.run.get("models", {})
        both = {name: known[name] for name in run["models"] if name in known}
        was = self.run | {"models": run["models"] | both} if self.run else run
        if was != run:
            differs = ", ".join(key for key in run if was.get(key) != run[key])
            raise JournalError(f"{self._path} was written with another {differs}: name another file with --out")
        if len(both) < len(run["models"]) or not self.run:
            self.run = run | {"models": known | run["models"]}
            self._append({"run": self.run})

    def _read(self, path: Path) -> None:
        whole = path.read_text(encoding="utf-8")
        # a run that was killed may have left half a line: it is cut off, and measured again
        complete = whole[: whole.rfind("\n") + 1]
        try:
            for line in map(json.loads, complete.splitlines()):
                if "run" in line:
                    self.run = line["run"]
                    continue
                entry = Entry(**{**line, "rows": [Row(**row) for row in line["rows"]]})
                self._entries[entry.model, entry.measure] = entry
        except (ValueError, KeyError, TypeError) as error:
            raise JournalError(f"{path} is not a journal of this benchmark: name another file with --out") from error
        if complete != whole:
            path.write_text(complete, encoding="utf-8")
