"""On a GPU: passes replayed as graphs against the reference, which runs on the CPU."""

from __future__ import annotations

from functools import partial

import pytest

from pruner import TurnOptions

from .conftest import Graphs, MakePair

pytestmark = pytest.mark.gpu
PRUNED = TurnOptions(deep_share=0.3, max_tokens=8)


@pytest.fixture(params=["on", "off", "with experts"])
def gpu_pair(tiny_pair: MakePair, tiny3_pair: MakePair, request: pytest.FixtureRequest) -> MakePair:
    if request.param == "with experts":
        return partial(tiny3_pair, device="cuda", graphs="off")  # as `auto` has it
    graphs: Graphs = request.param
    return partial(tiny_pair, device="cuda", graphs=graphs)


@pytest.mark.parametrize("score", ["running_max", "mean"])
def test_turns_with_and_without_windows_between(gpu_pair: MakePair, score: str) -> None:
    pair = gpu_pair(budget=4_000)
    options = TurnOptions(deep_share=0.3, score=score, max_tokens=8)  # type: ignore[arg-type]
    pair.ask("Is anybody there?", options)
    for turn in range(4):
        for _ in range(3):
            pair.window()
        pair.ask(f"Question {turn}?", options, published=turn or None)
    pair.speak(0.9, options)
    assert pair.whole == 6
    if pair.model.records:
        pool = pair.model._pool
        assert pool is not None
        assert pool.replayed > 30
        assert len(pool) > 4


def test_after_evictions_and_rebasing(gpu_pair: MakePair) -> None:
    pair = gpu_pair(budget=160, exact_positions=False, limit=500)
    for turn in range(4):
        for _ in range(5):
            pair.window()
        pair.ask(f"Question {turn}?", PRUNED)
    assert pair.conversation.store.length < len(pair.script.rows), "something was evicted"
