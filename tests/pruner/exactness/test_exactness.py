"""What method.md says must be proven, 1: fuse-then-guide is one-shot pruning of the whole conversation."""

from __future__ import annotations

import pytest

from pruner import TurnOptions

from .conftest import MakePair

PRUNED = TurnOptions(deep_share=0.3, max_tokens=6)
ROOMY = 4_000


@pytest.mark.parametrize(
    "options",
    [
        PRUNED,
        TurnOptions(deep_share=0.3, score="mean", max_tokens=6),
        TurnOptions(deep_share=0.5, schedule="sigmoid", max_tokens=6),
        TurnOptions(deep_share=0.4, diversity_weight=0.2, max_tokens=6),
        TurnOptions(deep_share=1.0, max_tokens=6),
    ],
    ids=["live", "paper's mean", "sigmoid", "diversity", "nothing dropped"],
)
def test_one_turn(tiny_pair: MakePair, options: TurnOptions) -> None:
    pair = tiny_pair(budget=ROOMY)
    for _ in range(5):
        pair.window()
    pair.ask("What is there?", options)
    assert pair.whole == 1


@pytest.mark.parametrize("turns", [2, 5])
def test_several_turns_with_windows_between(tiny_pair: MakePair, turns: int) -> None:
    pair = tiny_pair(budget=ROOMY, seed=turns)
    for turn in range(turns):
        for _ in range(turn % 3 + 1):
            pair.window()
        pair.window(seconds=1)
        pair.ask(f"Question {turn}?", PRUNED)
    assert pair.whole == turns


def test_segments_end_at_gaps_and_at_their_limit(tiny_pair: MakePair) -> None:
    pair = tiny_pair(budget=ROOMY)
    for number in range(7):
        pair.window(new_segment=number == 2)
    pair.ask("And now?", PRUNED)
    assert pair.whole == 1


def test_text_only_turns(tiny_pair: MakePair) -> None:
    pair = tiny_pair(budget=ROOMY)
    pair.ask("Is anybody there?", PRUNED)
    pair.window()
    pair.ask("And now?", PRUNED)
    pair.ask("And again, with nothing new?", PRUNED)
    assert pair.whole == 3


@pytest.mark.parametrize("published", [0, 1, 3])
def test_barge_in_commits_what_was_published(tiny_pair: MakePair, published: int) -> None:
    pair = tiny_pair(budget=ROOMY, seed=published)
    pair.window()
    pair.window()
    answer = pair.ask("First?", TurnOptions(deep_share=0.3, max_tokens=5), published=published)
    assert len(answer) >= published
    pair.window()
    pair.ask("Second?", PRUNED)
    pair.ask("Third?", PRUNED)
    assert pair.whole == 3


def test_after_evictions_it_is_the_replay_of_what_the_store_did(tiny_pair: MakePair) -> None:
    pair = tiny_pair(budget=160)
    for turn in range(3):
        for _ in range(5):
            pair.window()
        pair.ask(f"Question {turn}?", PRUNED)
    assert pair.conversation.report().store_tokens <= 160
    assert pair.whole == 0 or pair.conversation.store.length < len(pair.script.rows), "something was evicted"


def test_after_rebasing_it_is_the_replay_of_what_the_store_did(tiny_pair: MakePair) -> None:
    pair = tiny_pair(budget=200, exact_positions=False, limit=600)
    for turn in range(3):
        for _ in range(6):
            pair.window()
        pair.ask(f"Question {turn}?", PRUNED)
    highest = int(pair.conversation.store.rows.position.max())
    assert highest < 600 < 25 * pair.start, "positions were moved, and stay in the trained range"
