"""Results as the benchmarks print them: text for people, with a line of JSON after each table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["UnreadableError", "about", "read"]


class UnreadableError(ValueError):
    """A file without results."""


def read(path: Path) -> list[dict[str, Any]]:
    """All results in a file, in order.

    Raises:
        UnreadableError: there is no such file, or none in it.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableError(f"{path} cannot be read: {error}") from error
    found = []
    for line in lines:
        if not line.startswith('{"bench"'):
            continue
        try:
            found.append(json.loads(line))
        except ValueError as error:
            raise UnreadableError(f"{path} holds half a result: run its command again") from error
    if not found:
        raise UnreadableError(f"{path} holds no result: name what a benchmark printed")
    return found


def about(result: dict[str, Any], path: Path) -> str:
    """Below a plot: how it is made again, and where its numbers come from."""
    made = f"python -m benchmarks.plots {path}"
    return f"{made}\n{result['date'][:10]}, {result['hardware']}, weights {result['weights']}"
