"""What method.md says must be proven, 2 to 4: nothing is lost, run twice, or dearer with age."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from pruner import Ask, Conversation, LiveModel, RawWindow, TurnOptions
from pruner.families.stack import Angles

HARSH = TurnOptions(deep_share=0.1, max_tokens=4)


def watch(model: LiveModel, conversation: Conversation, windows: int, *, seed: int = 0) -> None:
    random = np.random.default_rng(seed)
    for number in range(windows):
        frames = random.integers(0, 256, (4, 84, 84, 3), dtype=np.uint8)
        samples = random.uniform(-0.5, 0.5, 32_000).astype(np.float32)
        model.fuse(
            [(conversation, one) for one in model.encode([(conversation, RawWindow(2.0 * number, frames, samples))])]
        )


def ask(model: LiveModel, conversation: Conversation, text: str, *, published: int | None = None) -> torch.Tensor:
    """Logits of the answer's first token."""
    (turn,) = model.guide([Ask(conversation, text, HARSH)])
    first = turn.logits.clone()
    while not model.step([turn])[0].done:
        pass
    model.commit(turn, published=published)
    return first


def test_guidance_removes_nothing_from_the_store(tiny_model: LiveModel) -> None:
    conversation = tiny_model.open(budget=2_000)
    watch(tiny_model, conversation, 6)
    store, length = conversation.store, conversation.store.length
    before = [part[..., :length, :].clone() for part in (store.keys, store.values, store.hidden)]
    ask(tiny_model, conversation, "What did you see?")
    after = [part[..., :length, :] for part in (store.keys, store.values, store.hidden)]
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert store.media == int(store.rows.media.sum())


def test_a_question_sees_what_an_earlier_one_ignored(tiny_model: LiveModel) -> None:
    """The earlier question is taken back, so that both contexts hold the same text; what it ignored is all there."""
    first, second = tiny_model.open(budget=2_000), tiny_model.open(budget=2_000)
    for conversation in (first, second):
        watch(tiny_model, conversation, 6)
    ask(tiny_model, second, "Something else entirely?", published=0)
    assert torch.equal(ask(tiny_model, first, "What now?"), ask(tiny_model, second, "What now?"))


def count_rows(model: LiveModel, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Grows by (layer, rows) whenever rows enter a layer."""
    stack, found = model.model.stack, list[tuple[int, int]]()

    def counting(call: Callable[..., object]) -> Callable[..., object]:
        def counted(layer: int, hidden: torch.Tensor, angles: Angles) -> object:
            found.append((layer, len(hidden)))
            return call(layer, hidden, angles)

        return counted

    for name in ("project", "project_last"):
        monkeypatch.setattr(stack, name, counting(getattr(stack, name)))
    return found


def test_windows_are_encoded_and_fused_once(
    load_tiny: Callable[..., LiveModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_tiny(dtype=torch.float64)
    conversation = model.open(budget=2_000)
    rows = count_rows(model, monkeypatch)
    watch(model, conversation, 8)
    fused = sum(count for layer, count in rows if layer == 0)
    assert {layer for layer, _ in rows} == set(range(model.facts.fusion_depth)), "windows stay below the fusion depth"
    assert fused < conversation.store.length, "every row once; the system prompt came before"
    for text in ("First?", "Second?", "Third?"):
        rows.clear()
        (turn,) = model.guide([Ask(conversation, text, HARSH)])
        new = sum(count for layer, count in rows if layer == 0)
        assert new <= len(text) + 32, "below the fusion depth only the question's own rows run"
        while not model.step([turn])[0].done:
            pass
        model.commit(turn)


def test_a_question_costs_the_same_however_old_the_session(
    load_tiny: Callable[..., LiveModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in rows that pass each layer: once the store is full, age changes nothing."""
    model = load_tiny(dtype=torch.float32)
    costs = []
    rows = count_rows(model, monkeypatch)
    conversation = model.open(budget=400)
    for age in range(4):
        watch(model, conversation, 40, seed=age)
        rows.clear()
        (turn,) = model.guide([Ask(conversation, "What is there now?", HARSH)])
        costs.append(sum(count for _, count in rows))
        model.commit(turn, published=0)
        assert conversation.store.media <= 400
    assert max(costs[1:]) <= 1.1 * min(costs[1:])
