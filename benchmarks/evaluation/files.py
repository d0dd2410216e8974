"""Files of a data directory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["FormatError", "first_there", "load_json", "text_of"]


class FormatError(ValueError):
    """A data directory that does not hold what its benchmark publishes."""


def load_json(directory: Path, name: str) -> Any:
    """What a JSON file holds.

    Raises:
        FormatError: it is missing, cannot be read, or is no JSON.
    """
    path = directory / name
    try:
        return json.loads(text_of(path))
    except ValueError as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{path} is no JSON ({error})") from error


def text_of(path: Path) -> str:
    """A file's text.

    Raises:
        FormatError: it is missing or cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} is missing or cannot be read") from error


def first_there(places: Sequence[Path]) -> Path:
    """The first of several places that exists; the first of all if none does, for whoever reports it missing."""
    return next((place for place in places if place.exists()), places[0])
