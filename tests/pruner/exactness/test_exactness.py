"""What method.md says must be proven, 1: fuse-then-guide is one-shot pruning of the whole conversation."""

from __future__ import annotations

import pytest

from pruner import TurnOptions
from pruner.guidance import Score
from pruner.tokens import Modality, Role

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


@pytest.mark.parametrize("score", ["running_max", "mean"])
def test_a_spoken_question(tiny_pair: MakePair, score: Score) -> None:
    """The paper's mean is over the speech's own tokens; the maximum, over what closes it and the header too."""
    pair = tiny_pair(budget=ROOMY)
    for _ in range(3):
        pair.window()
    pair.speak(1.3, TurnOptions(deep_share=0.3, score=score, max_tokens=6))
    assert pair.whole == 1


def test_spoken_and_written_turns_with_windows_between(tiny_pair: MakePair) -> None:
    pair = tiny_pair(budget=ROOMY)
    pair.speak(0.5, PRUNED)
    pair.window()
    pair.window(seconds=1)
    pair.speak(2.6, PRUNED)
    pair.ask("And in writing?", PRUNED)
    pair.window()
    pair.speak(0.9, PRUNED)
    assert pair.whole == 4


@pytest.mark.parametrize("published", [0, 1])
def test_barge_in_on_the_answer_to_a_spoken_question(tiny_pair: MakePair, published: int) -> None:
    pair = tiny_pair(budget=ROOMY, seed=published)
    pair.window()
    answer = pair.speak(1.0, TurnOptions(deep_share=0.3, max_tokens=4), published=published)
    assert len(answer) >= published
    pair.window()
    pair.speak(0.7, PRUNED)
    pair.ask("Third?", PRUNED)
    assert pair.whole == 3


def test_spoken_turns_after_evictions_and_rebasing(tiny_pair: MakePair) -> None:
    """Nothing of the speech is evicted with the scene: it leaves with its turn's text, or not at all."""
    pair = tiny_pair(budget=140, exact_positions=False, limit=500)
    for _ in range(3):
        for _ in range(4):
            pair.window()
        pair.speak(1.2, PRUNED)
    rows = pair.conversation.store.rows
    spoken = rows.modality[rows.role == Role.QUESTION] == Modality.AUDIO
    assert spoken.sum() == 3 * 31, "30 tokens of 40 ms, and one in which the silence begins"
    assert pair.conversation.report().store_tokens <= 140
    assert int(rows.position.max()) < 500 < 25 * pair.start
