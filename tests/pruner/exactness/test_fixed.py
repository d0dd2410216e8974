"""Passes in fixed shapes against the same reference: rows and columns that are too many change nothing."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from functools import partial

import pytest

import pruner.live
from pruner import TurnOptions
from pruner.fixed import FixedPasses
from pruner.graphs import GraphPool

from .conftest import MakePair

PRUNED = TurnOptions(deep_share=0.3, max_tokens=6)
ROOMY = 4_000


@pytest.fixture
def fixed_pair(tiny_pair: MakePair, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakePair]:
    """Pairs whose live model works in fixed shapes, with a new size every few rows."""
    ran: set[tuple[Hashable, ...]] = set()
    run = GraphPool.run

    def noting(pool: GraphPool, key: tuple[Hashable, ...], work: Callable[[], None]) -> None:
        ran.add(key)
        run(pool, key, work)

    monkeypatch.setattr(pruner.live, "FixedPasses", partial(FixedPasses, columns=16))
    monkeypatch.setattr(GraphPool, "run", noting)
    yield partial(tiny_pair, graphs="on")
    assert {key[0] for key in ran} >= {None, "step"}, "windows and steps ran so"
    assert {key[0] for key in ran} & {"mean", "running_max"}, "and questions"
    assert len({key[1:] for key in ran}) > 5, "in several sizes"


@pytest.mark.parametrize(
    "options",
    [
        TurnOptions(deep_share=0.3, score="mean", max_tokens=6),
        TurnOptions(deep_share=0.4, diversity_weight=0.2, max_tokens=6),
        TurnOptions(deep_share=1.0, max_tokens=6),
    ],
    ids=["paper's mean", "diversity", "nothing dropped"],
)
def test_one_turn(fixed_pair: MakePair, options: TurnOptions) -> None:
    pair = fixed_pair(budget=ROOMY)
    for _ in range(3):
        pair.window()
    pair.ask("What is there?", options)
    assert pair.whole == 1


def test_turns_with_and_without_windows_between(fixed_pair: MakePair) -> None:
    pair = fixed_pair(budget=ROOMY)
    pair.ask("Is anybody there?", PRUNED)
    for turn in range(3):
        for _ in range(turn % 3 + 1):
            pair.window()
        pair.window(seconds=1)
        pair.ask(f"Question {turn}?", PRUNED)
    pair.ask("And again, with nothing new?", PRUNED)
    pair.speak(0.9, PRUNED)
    assert pair.whole == 6


@pytest.mark.parametrize("published", [0, 1])
def test_barge_in_commits_what_was_published(fixed_pair: MakePair, published: int) -> None:
    """What the device was ahead by is taken out of the store again."""
    pair = fixed_pair(budget=ROOMY, seed=published)
    pair.window()
    pair.ask("First?", TurnOptions(deep_share=0.3, max_tokens=5), published=published)
    pair.window()
    pair.ask("Second?", PRUNED)
    assert pair.whole == 2


def test_after_evictions_and_rebasing(fixed_pair: MakePair) -> None:
    pair = fixed_pair(budget=160, exact_positions=False, limit=500)
    for turn in range(3):
        for _ in range(5):
            pair.window()
        pair.ask(f"Question {turn}?", PRUNED)
    assert pair.conversation.store.length < len(pair.script.rows), "something was evicted"
    assert int(pair.conversation.store.rows.position.max()) < 500 < 25 * pair.start, "positions were moved"
