"""A budget that changes while the stream runs (less evicts at once, more grows), and the bound of text beside it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pruner import Ask, Conversation, LiveModel, RawWindow
from pruner.tokens import Role

pytestmark = pytest.mark.default


def _watch(model: LiveModel, conversation: Conversation, first: int, windows: int) -> int:
    """Fuse windows of noise; returns how many tokens left for them."""
    gone = 0
    for number in range(first, first + windows):
        rng = np.random.default_rng(number)
        frames = rng.integers(0, 256, (4, 84, 84, 3), dtype=np.uint8)
        samples = 0.1 * rng.standard_normal(32_000, dtype=np.float32)
        (encoded,) = model.encode([(conversation, RawWindow(2.0 * number, frames, samples))])
        gone += model.fuse([(conversation, encoded)])[0].evicted
    return gone


def _answer(model: LiveModel, conversation: Conversation, text: str) -> str:
    (turn,) = model.guide([Ask(conversation, text)])
    while not model.step([turn])[0].done:
        pass
    model.commit(turn)
    return turn.text


def test_a_budget_that_changes_while_the_stream_runs(tiny_model: LiveModel) -> None:
    conversation = tiny_model.open(budget=400)
    _watch(tiny_model, conversation, 0, 9)
    full, large = conversation.report(), tiny_model.session_bytes(400)
    assert full.store_tokens > 350
    newest = max(conversation.store.chunks)

    conversation.set_budget(150)  # down: evicts at once, old windows first, memory follows
    small = conversation.report()
    assert small.store_tokens <= 150
    assert small.nbytes < full.nbytes
    assert newest in conversation.store.chunks
    assert _watch(tiny_model, conversation, 9, 2) > 0
    assert conversation.report().store_tokens <= 150
    _answer(tiny_model, conversation, "What was first?")

    conversation.set_budget(600)  # up: nothing comes back, and nothing leaves until the new budget is full
    assert conversation.report().nbytes > full.nbytes
    before = conversation.report().store_tokens
    assert _watch(tiny_model, conversation, 11, 8) == 0
    assert 400 < conversation.report().store_tokens <= before + 8 * 45
    _answer(tiny_model, conversation, "And then?")
    assert conversation.store.nbytes <= tiny_model.session_bytes(600)
    assert tiny_model.session_bytes(150) < large < tiny_model.session_bytes(600)


def test_text_stays_within_its_bound_and_the_oldest_turns_words_leave_first(
    load_tiny: Callable[..., LiveModel],
) -> None:
    model = load_tiny(max_text_tokens=200, max_question_tokens=32)
    conversation = model.open(budget=600)
    for turn in range(12):
        _watch(model, conversation, turn, 1)
        _answer(model, conversation, f"Question {turn}?")
        assert conversation.report().text_tokens <= 200
    rows = conversation.store.rows
    asked = sorted({*rows.turn[rows.role == Role.QUESTION].tolist()})
    assert 0 < len(asked) < 12
    assert asked == [*range(asked[0], asked[0] + len(asked))]  # those that stay are the newest, without a gap
    assert asked[-1] == rows.turn.max()
    # scenes of turns whose words left are still there
    assert conversation.report().windows == 12
