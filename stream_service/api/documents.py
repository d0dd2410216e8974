"""Writes the API documents: ``python -m stream_service.api.documents docs/api``.

They are checked in, and a test compares them, so that a change of the interface shows in its review.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from stream_service.api import asyncapi, http


def documents() -> dict[str, str]:
    """File name and text of each document."""
    described = {"openapi.json": http.routed().openapi(), "asyncapi.json": asyncapi.document(http.release())}
    return {name: json.dumps(document, indent=2, ensure_ascii=False) + "\n" for name, document in described.items()}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="utf-8")
