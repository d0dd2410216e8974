"""The live model with passes in fixed shapes: the same answers, no waiting, no memory that grows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch

import pruner.live
from pruner import Ask, Conversation, LiveModel, RawWindow, Turn, TurnOptions
from pruner.fixed import FixedPasses
from pruner.store import FusionStore, StoreShape
from pruner.tokens import Role, TokenRows
from pruner.workspace import Workspace

from .test_decoder import Waits

SHORT = TurnOptions(deep_share=0.3, max_tokens=6)


def _watch(model: LiveModel, conversation: Conversation, windows: int, *, first: int = 0) -> None:
    for number in range(first, first + windows):
        rng = np.random.default_rng(number)
        frames = rng.integers(0, 256, (4, 84, 84, 3), dtype=np.uint8)
        samples = 0.1 * rng.standard_normal(32_000, dtype=np.float32)
        (encoded,) = model.encode([(conversation, RawWindow(2.0 * number, frames, samples))])
        model.fuse([(conversation, encoded)])


def _ask(model: LiveModel, conversation: Conversation, text: str = "What is it?") -> Turn:
    return model.guide([Ask(conversation, text, SHORT)])[0]


@pytest.fixture(scope="module")
def pair(load_tiny: Callable[..., LiveModel]) -> tuple[LiveModel, LiveModel]:
    """The same model in the shapes passes have, and in fixed shapes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pruner.live, "FixedPasses", partial(FixedPasses, columns=16))
        return load_tiny(dtype=torch.float64), load_tiny(dtype=torch.float64, graphs="on")


def test_turns_side_by_side_are_each_turn_alone(pair: tuple[LiveModel, LiveModel]) -> None:
    """Conversations take turns in the one place that graphs work in."""
    found = []
    for model in pair:
        both = [model.open(budget=600) for _ in range(2)]
        for number in range(3):
            for index, conversation in enumerate(both):
                _watch(model, conversation, 1, first=10 * index + number)
        turns = model.guide([Ask(conversation, "What is it?", SHORT) for conversation in both])
        logits = [turn.logits.clone() for turn in turns]
        while any(turn.state.value == "running" for turn in turns):
            running = [turn for turn in turns if turn.state.value == "running"]
            model.step(running)
            logits += [turn.logits.clone() for turn in running]
        found.append(([turn.ids for turn in turns], torch.stack(logits)))
    (plain, first), (fixed, second) = found
    assert plain == fixed
    torch.testing.assert_close(first, second, atol=1e-9, rtol=0)


def test_stale_rows_of_another_conversation_are_not_seen(pair: tuple[LiveModel, LiveModel]) -> None:
    model = pair[1]
    conversation, other = model.open(budget=600), model.open(budget=600)
    _watch(model, conversation, 1)
    alone = _ask(model, conversation)
    before = alone.logits.clone()
    model.commit(alone, published=0)
    _watch(model, other, 6, first=3)
    _ask(model, other)
    torch.testing.assert_close(_ask(model, conversation).logits, before, atol=1e-12, rtol=0)


def test_an_answer_that_ends_has_cost_one_step_too_many(
    pair: tuple[LiveModel, LiveModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = pair[1]
    steps = 0
    step = FixedPasses.step

    def counted(*arguments: object) -> object:
        nonlocal steps
        steps += 1
        return step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(FixedPasses, "step", counted)
    conversation = model.open(budget=600)
    _watch(model, conversation, 1)
    turn = _ask(model, conversation)
    while not model.step([turn])[0].done:
        pass
    model.commit(turn, published=0)
    assert (len(turn.ids), steps) == (6, 5), "none where the answer ends by its length"
    monkeypatch.setattr(model.model.prompt, "stop", frozenset(turn.ids[2:3]))
    expected, steps = turn.ids[: turn.ids.index(turn.ids[2])], 0
    turn = _ask(model, conversation)
    while not model.step([turn])[0].done:
        pass
    assert turn.ids == expected
    assert steps == len(expected) + 1
    held = conversation.store.length
    model.commit(turn)
    assert conversation.store.length == held - 1 + len(model.model.prompt.end), "the step too many left nothing"


def test_a_budget_may_change_under_fixed_passes(pair: tuple[LiveModel, LiveModel]) -> None:
    """Down, and up beyond what any conversation had before: the store's memory moves, and theirs with it."""
    found = []
    for loaded in pair:
        model = LiveModel(loaded.model, loaded.options)
        conversation = model.open(budget=300)
        answers = []
        for number, budget in enumerate((300, 100, 900)):
            conversation.set_budget(budget)
            _watch(model, conversation, 8, first=8 * number)
            assert conversation.store.media <= budget
            turn = _ask(model, conversation)
            while not model.step([turn])[0].done:
                pass
            model.commit(turn)
            answers.append((turn.ids, conversation.store.media))
        found.append(answers)
        assert answers[-1][1] > 300
    assert found[0] == found[1]


def test_memory_is_what_was_computed_and_stays_so(pair: tuple[LiveModel, LiveModel]) -> None:
    model = LiveModel(pair[1].model, pair[1].options)
    fixed = model._fixed
    assert fixed is not None
    conversation = model.open(budget=300)
    assert fixed.nbytes == model.shared_bytes(300)
    where = fixed.space.shallow.data_ptr(), fixed.space.deep.data_ptr()
    for turn in range(3):
        _watch(model, conversation, 4, first=4 * turn)
        asked = _ask(model, conversation, "What is it, and what was before it?")
        while not model.step([asked])[0].done:
            pass
        model.commit(asked)
    assert fixed.nbytes == model.shared_bytes(300)
    assert (fixed.space.shallow.data_ptr(), fixed.space.deep.data_ptr()) == where
    model.open(budget=9000)
    assert fixed.nbytes == model.shared_bytes(9000)
    assert pair[0].shared_bytes(9000) == 0


def test_nothing_waits_for_the_device(pair: tuple[LiveModel, LiveModel]) -> None:
    model = pair[1]
    conversation = model.open(budget=300)
    _watch(model, conversation, 3)
    frames = np.zeros((4, 84, 84, 3), dtype=np.uint8)
    (encoded,) = model.encode([(conversation, RawWindow(6.0, frames, np.zeros(32_000, dtype=np.float32)))])
    with Waits() as waits:
        model.fuse([(conversation, encoded)])
        turn = _ask(model, conversation)
        model.step([turn])
        model.step([turn])
        model.commit(turn)
    assert waits.operations > 300
    assert waits.found == []


def test_only_rows_that_are_not_there_are_copied(pair: tuple[LiveModel, LiveModel]) -> None:
    stack = pair[0].model.stack
    shape = StoreShape(3, stack.kv_heads, stack.head_dim, stack.hidden_size)
    store = FusionStore(shape, budget=16, text=16, dtype=stack.dtype, rotate=stack.rotate_at)
    store.begin(TokenRows.make(np.arange(6), sequence=0, role=Role.SYSTEM, turn=0))
    store.values.fill_(1.0)
    space = Workspace(stack, 3, 16)
    space.reserve(32, 16)
    space.hold(store)
    space.shallow.fill_(7.0)
    mark = store.mark()
    store.begin(TokenRows.make(np.arange(6, 8), sequence=6, role=Role.SYSTEM, turn=0))
    space.hold(store)
    assert space.shallow[1, 0, 0, :, 0].tolist()[:9] == [7.0] * 6 + [1.0] * 2 + [7.0]
    store.truncate(mark)
    space.hold(store)
    assert space.shallow[1, 0, 0, :, 0].tolist()[:8] == [1.0] * 6 + [1.0] * 2, "rows below may be others by now"
    assert space.reserve(33, 16), "memory moves"
    space.hold(store)
    assert space.shallow[1, 0, 0, :, 0].tolist()[:8] == [1.0] * 6 + [0.0] * 2
