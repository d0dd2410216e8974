"""On a GPU: graphs against the same passes unrecorded, no waiting inside a pass, memory that stays.

    python -m pytest -m gpu tests/pruner

Exactness against the reference is in `exactness/test_gpu.py`.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from pruner import Ask, Conversation, LiveModel, LiveOptions, RawWindow, TurnOptions

pytestmark = pytest.mark.gpu

WHOLE = TurnOptions(deep_share=1.0, max_tokens=8)
SHORT = TurnOptions(deep_share=0.3, max_tokens=8)
EXACT = {torch.float64: 1e-9, torch.float32: 1e-3, torch.bfloat16: 0.1}
"""Largest relative difference of logits; random weights make them large and attention sharp."""


@pytest.fixture(scope="module")
def load(tiny_directory: Path) -> Callable[..., LiveModel]:
    def made(dtype: torch.dtype = torch.float64, **options: object) -> LiveModel:
        chosen = LiveOptions(**options)  # type: ignore[arg-type]
        return LiveModel.load(tiny_directory, device="cuda", dtype=dtype, options=chosen)

    return made


@contextmanager
def no_waiting() -> Iterator[None]:
    """Whatever waits for the device raises."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def _window(number: int) -> RawWindow:
    rng = np.random.default_rng(number)
    frames = rng.integers(0, 256, (4, 84, 84, 3), dtype=np.uint8)
    return RawWindow(2.0 * number, frames, 0.1 * rng.standard_normal(32_000, dtype=np.float32))


def _watch(model: LiveModel, conversation: Conversation, first: int, windows: int) -> None:
    for number in range(first, first + windows):
        (encoded,) = model.encode([(conversation, _window(number))])
        model.fuse([(conversation, encoded)])


def _turn(model: LiveModel, conversation: Conversation, options: TurnOptions) -> tuple[list[int], list[torch.Tensor]]:
    (turn,) = model.guide([Ask(conversation, "What is it?", options)])
    logits, done = [], False
    while not done:
        done = model.step([turn])[0].done
        logits.append(turn.logits.double())
    model.commit(turn)
    return turn.ids, logits


def _course(
    model: LiveModel, options: TurnOptions, sessions: int = 3
) -> tuple[list[list[int]], torch.Tensor, torch.Tensor]:
    """Answers, all logits and what was fused, of the last of several equal sessions."""
    for _ in range(sessions):
        conversation = model.open(budget=600)
        found = []
        for turn in range(3):
            _watch(model, conversation, 3 * turn, 3)
            found.append(_turn(model, conversation, options))
        fused = conversation.store.hidden[: conversation.store.length].double()
        conversation.close()
    return [ids for ids, _ in found], torch.stack([one for _, logits in found for one in logits]), fused


@pytest.mark.parametrize("dtype", list(EXACT), ids=str)
def test_graphs_give_what_the_same_passes_give_unrecorded(load: Callable[..., LiveModel], dtype: torch.dtype) -> None:
    graphs, fixed = load(dtype, graphs="on"), load(dtype, graphs="on")
    assert fixed._pool is not None
    fixed._pool.capture = False
    (ids, logits, fused), (others, expected, before) = _course(graphs, SHORT), _course(fixed, SHORT, sessions=1)
    assert graphs._pool is not None
    assert graphs._pool.replayed > 60
    assert ids == others
    scale = float(expected.abs().max())
    torch.testing.assert_close(fused, before, atol=1e-2 * EXACT[dtype] * float(before.abs().max()), rtol=0)
    torch.testing.assert_close(logits, expected, atol=1e-2 * EXACT[dtype] * scale, rtol=0)


@pytest.mark.parametrize("dtype", list(EXACT), ids=str)
def test_fixed_shapes_give_what_exact_shapes_give(load: Callable[..., LiveModel], dtype: torch.dtype) -> None:
    """In 16 bits another kernel rounds otherwise, so that answers may part: until then they are near."""
    fixed, plain = load(dtype, graphs="on"), load(dtype, graphs="off")
    for options in (SHORT, WHOLE) if dtype == torch.float64 else (WHOLE,):
        (ids, logits, fused), (others, expected, before) = _course(fixed, options), _course(plain, options, sessions=1)
        if dtype == torch.float64:
            assert ids == others
        assert float((logits[0] - expected[0]).abs().max()) <= EXACT[dtype] * float(expected[0].abs().max())
        first = slice(0, 40)  # rows before the first question
        assert float((fused[first] - before[first]).abs().max()) <= EXACT[dtype] * float(before[first].abs().max())


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("graphs", ["on", "off"])
def test_nothing_waits_inside_a_pass(load: Callable[..., LiveModel], graphs: str) -> None:
    """Reading a token and the places of a window's tokens waits for an event, which torch does not count."""
    model = load(torch.float32, graphs=graphs)
    _course(model, SHORT)
    conversation = model.open(budget=100)
    _watch(model, conversation, 0, 2)  # the next one evicts
    (encoded,) = model.encode([(conversation, _window(2))])
    with no_waiting():
        (again,) = model.encode([(conversation, _window(3))])
        assert model.fuse([(conversation, encoded)])[0].evicted
        model.fuse([(conversation, again)])
        (turn,) = model.guide([Ask(conversation, "What is it?", SHORT)])
    if graphs == "on":
        with no_waiting():
            while not model.step([turn])[0].done:
                pass
            model.commit(turn)
            turn.report()
    with pytest.raises(RuntimeError), no_waiting():
        int(turn.logits.argmax())


def test_memory_stays_over_many_turns(load: Callable[..., LiveModel]) -> None:
    model = load(torch.float32, graphs="on")
    conversation = model.open(budget=200)
    held: list[tuple[int, int]] = []
    for turn in range(60):
        _watch(model, conversation, 3 * turn, 3)
        _turn(model, conversation, SHORT)
        gc.collect()
        torch.cuda.synchronize()
        held.append((torch.cuda.memory_allocated(), torch.cuda.memory_reserved()))
    assert model._pool is not None
    assert model._pool.replayed > 500
    allocated, reserved = zip(*held[30:], strict=True)
    assert max(allocated) - min(allocated) < 2**20
    assert max(reserved) - min(reserved) <= 64 * 2**20


def test_a_larger_budget_moves_memory_and_graphs_are_recorded_anew(load: Callable[..., LiveModel]) -> None:
    model, plain = load(graphs="on"), load(graphs="off")
    before = _course(model, SHORT)
    assert model._pool is not None
    assert len(model._pool) > 0
    large = model.open(budget=9000)
    assert len(model._pool) == 0
    large.close()
    after, expected = _course(model, SHORT), _course(plain, SHORT, sessions=1)
    assert before[0] == after[0] == expected[0]
    assert len(model._pool) > 0


def test_encoders_give_recorded_what_they_give(load: Callable[..., LiveModel]) -> None:
    model, plain = load(torch.float32, graphs="on"), load(torch.float32, graphs="off")
    conversation, other = model.open(budget=600), plain.open(budget=600)
    for number in range(5):
        (mine,) = model.encode([(conversation, _window(number))])
        (theirs,) = plain.encode([(other, _window(number))])
        for one, two in ((mine.video, theirs.video), (mine.audio, theirs.audio), (mine.saliency, theirs.saliency)):
            assert one is not None
            torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-4)
    assert model._pool is not None
    assert model._pool.replayed >= 4


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_a_still_picture_is_shared_without_waiting(load: Callable[..., LiveModel]) -> None:
    model, plain = load(torch.float32, graphs="on", still_change=0.0), load(torch.float32, graphs="off")
    conversation, other = model.open(budget=600), plain.open(budget=600)
    still = _window(0)
    assert still.frames is not None
    still.frames[:] = still.frames[:1]
    model.encode([(conversation, _window(1))])
    with no_waiting():
        found = [model.encode([(conversation, still)])[0] for _ in range(3)]
    (expected,) = plain.encode([(other, still)])
    assert [one.shared for one in found] == [1, 2, 2]
    assert expected.video is not None
    for one in found:
        assert one.video is not None
        torch.testing.assert_close(one.video, expected.video, atol=1e-4, rtol=1e-4)


def test_no_attention_is_planned_for_its_shape(load: Callable[..., LiveModel]) -> None:
    """cuDNN's attention plans tens of milliseconds for every new shape, and each layer and question has its own."""
    model = load(torch.bfloat16, graphs="off")
    conversation = model.open(budget=600)
    encoded = [model.encode([(conversation, _window(number))])[0] for number in range(3)]
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        for one in encoded:
            model.fuse([(conversation, one)])
        _turn(model, conversation, SHORT)
    names = {event.key for event in seen.key_averages()}
    assert "aten::_scaled_dot_product_efficient_attention" in names
    assert "aten::_scaled_dot_product_flash_attention" in names
    assert not any("cudnn_attention" in name for name in names)
