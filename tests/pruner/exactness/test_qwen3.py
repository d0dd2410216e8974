"""Qwen3-Omni under fuse, guide and decode: experts, normed queries and keys, deepstack, turns of a second."""

from __future__ import annotations

import pytest

from pruner import TurnOptions

from .conftest import MakePair

PRUNED = TurnOptions(deep_share=0.3, max_tokens=4)
ROOMY = 4_000


@pytest.mark.parametrize(
    "options",
    [PRUNED, TurnOptions(deep_share=0.5, schedule="sigmoid", score="mean", max_tokens=4)],
    ids=["live", "paper's mean, sigmoid"],
)
def test_one_turn(tiny3_pair: MakePair, options: TurnOptions) -> None:
    pair = tiny3_pair(budget=ROOMY)
    for _ in range(3):
        pair.window()
    pair.window(seconds=1)
    pair.ask("What is there?", options)
    assert pair.whole == 1


def test_turns_segments_and_barge_in(tiny3_pair: MakePair) -> None:
    pair = tiny3_pair(budget=ROOMY)
    for turn, published in enumerate((None, 0, 1)):
        for number in range(3):
            pair.window(new_segment=number == 2)
        pair.ask(f"Question {turn}?", PRUNED, published=published)
    pair.ask("And with nothing new?", PRUNED)
    assert pair.whole == 4


def test_spoken_turns(tiny3_pair: MakePair) -> None:
    pair = tiny3_pair(budget=ROOMY)
    for published in (None, 0, 1):
        pair.window()
        pair.speak(1.3, PRUNED, published=published)
    pair.ask("And in writing?", PRUNED)
    assert pair.whole == 4


def test_after_evictions_and_rebasing_it_is_the_replay_of_what_the_store_did(tiny3_pair: MakePair) -> None:
    pair = tiny3_pair(budget=100, exact_positions=False, limit=400)
    for turn in range(2):
        for _ in range(9):
            pair.window()
        pair.ask(f"Question {turn}?", PRUNED)
    assert pair.conversation.report().store_tokens <= 100
    assert int(pair.conversation.store.rows.position.max()) < 400 < 13 * pair.start
