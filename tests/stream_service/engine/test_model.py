"""What the operator is told when a model cannot be loaded."""

from __future__ import annotations

import pytest
import torch

from pruner.families import checkpoint
from stream_service.engine.model import load
from stream_service.engine.settings import EngineSettings
from stream_service.errors import StartupError
from tests.pruner.conftest import tiny_directory

__all__ = ["tiny_directory"]


def test_too_little_memory_is_said_with_what_is_needed(tiny_directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def free(device: torch.device) -> int:
        return 0

    monkeypatch.setattr(checkpoint, "available_bytes", free)
    monkeypatch.setattr(checkpoint, "safe_open", None)
    with pytest.raises(StartupError, match=r"need 0\.0 GiB of memory, 0\.0 are free on cpu") as caught:
        load(EngineSettings(model=str(tiny_directory), threads=1), lambda: 0.0)
    assert "engine.dtype" in caught.value.remedy


def test_a_revision_of_a_directory(tiny_directory: str) -> None:
    with pytest.raises(StartupError, match="has no revisions"):
        load(EngineSettings(model=str(tiny_directory), revision="v1", threads=1), lambda: 0.0)
