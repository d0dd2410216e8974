"""What the operator is told when a model cannot be loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable

import pytest
import torch

from pruner import LiveModel, LiveOptions
from pruner.families import checkpoint
from pruner.graphs import GraphPool
from stream_service.engine.model import load, rehearse
from stream_service.engine.settings import EngineSettings
from stream_service.errors import StartupError
from tests.pruner.conftest import tiny_directory

__all__ = ["tiny_directory"]


def test_too_little_memory_is_said_with_what_is_needed(tiny_directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def free(device: torch.device) -> int:
        return 0

    monkeypatch.setattr(checkpoint, "available_bytes", free)
    monkeypatch.setattr(checkpoint, "safe_open", None)
    with pytest.raises(StartupError, match=r"need \d+\.[1-9] MiB of memory, 0\.0 MiB are free on cpu") as caught:
        load(EngineSettings(model=str(tiny_directory), threads=1), lambda: 0.0)
    assert "engine.dtype" in caught.value.remedy
    assert caught.value.field == "engine.model"


def test_a_revision_of_a_directory(tiny_directory: str) -> None:
    with pytest.raises(StartupError, match="has no revisions"):
        load(EngineSettings(model=str(tiny_directory), revision="v1", threads=1), lambda: 0.0)


@pytest.mark.parametrize("still_change", [None, 8.0])
def test_a_rehearsal_runs_every_pass_at_every_size_twice(
    tiny_directory: str, monkeypatch: pytest.MonkeyPatch, still_change: float | None
) -> None:
    ran: Counter[Hashable] = Counter()
    run = GraphPool.run

    def noting(pool: GraphPool, key: Hashable, work: Callable[[], None]) -> None:
        ran[key] += 1
        run(pool, key, work)

    monkeypatch.setattr(GraphPool, "run", noting)
    model = LiveModel.load(tiny_directory, options=LiveOptions(graphs="on", still_change=still_change))
    assert not model.records, "nothing to be recorded with on a CPU, so that it need not rehearse"
    rehearse(model, 600)
    columns = {key[2] for key in ran if isinstance(key, tuple) and key[0] is None}
    assert columns == {512, 1024}, "as far as the memory grows, its 600 tokens and some text"
    kinds = {key[0] for key in ran if isinstance(key, tuple)}
    assert kinds == {None, "running_max", "step", "vision", "audio"}
    assert min(ran.values()) >= 2
    assert {key[1] for key in ran if isinstance(key, tuple) and key[0] == "vision"} == {1, 2}, "seconds of a window"


@pytest.mark.parametrize("still_change", [None, 0.0, 8.0])
def test_a_deployment_says_what_stands_still(tiny_directory: str, still_change: float | None) -> None:
    loop, info = load(EngineSettings(model=str(tiny_directory), threads=1, still_change=still_change), lambda: 0.0)
    assert loop._runner._model.options.still_change == still_change
    assert info.session_bytes == loop._runner._model.session_bytes(info.budget)
