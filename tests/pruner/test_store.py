"""The fusion store: contents follow their rows through any history, within the budget, in the bytes announced."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pruner.errors import BudgetError, StateError
from pruner.eviction import EvictionReport, EvictionRule
from pruner.store import FusionStore, StoreShape
from pruner.tokens import Modality, Role, TokenRows

SHAPE = StoreShape(layers=3, kv_heads=2, head_dim=4, hidden=6)
RULE = EvictionRule(floor=2, recent=2, joined=4)


def rotate(keys: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Stands in for the rotary embedding: depends on every axis and on the key."""
    angle = positions.sum(dim=0).to(keys.dtype)
    return keys * angle[None, :, None]


def write(store: FusionStore, rows: TokenRows, keys: torch.Tensor, values: torch.Tensor, hidden: torch.Tensor) -> None:
    """What the decoder does with new rows."""
    start = store.begin(rows)
    here = slice(start, store.length)
    store.keys[:, :, here], store.values[:, :, here], store.hidden[here] = keys, values, hidden
    if store.rotated is not None:
        for layer, rotated in enumerate(store.rotated):
            rotated[:, here] = rotate(keys[layer], store.positions[:, here])
    store.settle(start)


class Stream:
    """Feeds a store with rows whose contents are functions of their sequence number, so that they can be checked."""

    def __init__(self, budget: int = 60, text: int = 40) -> None:
        self.store = FusionStore(SHAPE, budget=budget, text=text, dtype=torch.float64, rotate=rotate, eviction=RULE)
        self.sequence = self.clock = self.chunk = 0
        self.add(4, Role.SYSTEM, -1)
        self.add(2, Role.USER, 0)

    def add(self, count: int, role: Role, turn: int, chunk: int = -1, modality: Modality = Modality.TEXT) -> None:
        rows = TokenRows.make(
            self.clock + np.arange(count), sequence=self.sequence, role=role, turn=turn,
            chunk=chunk if role is Role.MEDIA else -1, modality=modality, segment=chunk,
        )  # fmt: skip
        self.sequence += count
        self.clock += count
        write(self.store, rows, *contents(rows))

    def window(self, video: int = 6, audio: int = 4) -> EvictionReport:
        report = self.store.evict_for(media=video + audio)
        self.store.add_chunk(self.chunk, 2.0 * self.chunk, 2.0 * self.chunk + 2, 2 * video, 2 * audio)
        self.add(video, Role.MEDIA, 0, self.chunk, Modality.VIDEO)
        self.add(audio, Role.MEDIA, 0, self.chunk, Modality.AUDIO)
        self.chunk += 1
        return report

    def check(self) -> None:
        store, rows = self.store, self.store.rows
        here = slice(0, store.length)
        keys, values, hidden = contents(rows)
        assert torch.equal(store.keys[:, :, here], keys)
        assert torch.equal(store.values[:, :, here], values)
        assert torch.equal(store.hidden[here], hidden)
        assert store.positions[:, here].T.tolist() == rows.position.tolist()
        assert store.rotated is not None
        for layer in range(SHAPE.layers):
            assert torch.equal(store.rotated[layer][:, here], rotate(keys[layer], store.positions[:, here]))
        assert (np.diff(rows.sequence) > 0).all()
        assert store.media <= store.budget
        assert store.text <= store.text_bound
        assert set(store.chunks) == set(np.unique(rows.chunk[rows.media]).tolist())


def contents(rows: TokenRows) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Keys, values and hidden states that any row's sequence number determines."""
    number = torch.from_numpy(rows.sequence.astype(np.float64))
    layer = torch.arange(1, 1 + SHAPE.layers, dtype=torch.float64)[:, None, None, None]
    head = torch.arange(1, 1 + SHAPE.kv_heads, dtype=torch.float64)[None, :, None, None]
    keys = torch.sin(number[None, None, :, None] * layer + head + torch.arange(SHAPE.head_dim))
    hidden = torch.cos(number[:, None] * (1 + torch.arange(SHAPE.hidden)))
    return keys, -keys, hidden


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["window", "big", "question", "undo", "rebase", "grow", "shrink"]), max_size=25))
def test_contents_follow_their_rows_through_any_history(history: list[str]) -> None:
    stream, turn = Stream(), 0
    for event in history:
        store = stream.store
        if event in ("window", "big"):
            stream.window(*((6, 4) if event == "window" else (15, 10)))
        elif event == "question":
            store.evict_for(text=8)
            stream.add(5, Role.QUESTION, turn)
            stream.add(1, Role.ANSWER, turn)
            turn += 1
            stream.add(2, Role.USER, turn)
        elif event == "undo":
            store.evict_for(text=3)
            before = store.rows.sequence.tolist(), store.coverage
            mark = store.mark()
            stream.add(3, Role.QUESTION, turn)
            store.truncate(mark)
            assert (store.rows.sequence.tolist(), store.coverage) == before
        elif event == "rebase":
            stream.clock -= store.rebase(limit=max(stream.clock, 80), next_id=stream.clock, need=10)
        else:
            store.set_budget(store.budget + 30 if event == "grow" else max(30, store.budget - 20))
        stream.check()


def test_every_past_chunk_stays_represented_while_floors_fit() -> None:
    stream = Stream(budget=60)
    for _ in range(16):
        stream.window()
    assert stream.store.coverage == 1.0
    counts = np.unique(stream.store.rows.chunk[stream.store.rows.media], return_counts=True)[1]
    assert counts.min() == RULE.floor
    assert counts[-1] == 10


@pytest.mark.parametrize("length", [100, 300])
def test_a_long_past_is_thinned_evenly_for_its_age_and_its_beginning_kept(length: int) -> None:
    stream = Stream(budget=60)
    thinned = sum(stream.window().thinned_chunks for _ in range(length))
    alive = sorted(stream.store.chunks)
    assert thinned == length - len(alive)
    assert stream.store.coverage == len(alive) / length
    assert alive[0] == 0
    gaps, age = np.diff(alive), length - 1 - np.asarray(alive[:-1])
    wide = (gaps / (1 + age / RULE.recent))[gaps > 1]
    assert len(wide) >= 8
    assert wide.max() <= 3 * wide.min(), "what a chunk tells moves its gap a little"
    assert stream.store.raw_tokens == 20 * len(alive)


def test_wrappers_leave_with_their_segments() -> None:
    stream = Stream(budget=40, text=20)
    for _ in range(30):
        stream.store.evict_for(text=2)
        stream.add(1, Role.OPEN, 0, stream.chunk)
        stream.window()
        stream.add(1, Role.CLOSE, 0, stream.chunk - 1)
        stream.check()
    rows = stream.store.rows
    chunks = len(stream.store.chunks)
    wrappers = int(np.count_nonzero(rows.role == Role.OPEN))
    assert wrappers == int(np.count_nonzero(rows.role == Role.CLOSE))
    # Old chunks share a wrapper by four (a run and the next may together just exceed it), recent ones have their own.
    assert wrappers <= 2 * (chunks - RULE.recent) / RULE.joined + RULE.recent + 2
    assert 0 in stream.store.chunks


def test_eviction_frees_more_than_one_window_at_a_time() -> None:
    stream = Stream(budget=400)
    evictions = [stream.window().evicted for _ in range(120)]
    busy = [count for count in evictions[50:] if count]
    assert 0 < len(busy) <= 70 / 2 + 1


def test_earlier_questions_protect_what_they_cared_for() -> None:
    stream = Stream(budget=40)
    for _ in range(3):
        stream.window()
    cared = torch.zeros(30)
    cared[[3, 8]] = torch.tensor([0.02, 0.01])
    stream.store.note_importance(cared)
    wanted = stream.store.rows.sequence[stream.store.rows.media][[3, 8]]
    for _ in range(4):
        stream.window()
    assert set(wanted.tolist()) <= set(stream.store.rows.sequence.tolist())


def test_a_repeated_scene_leaves_before_a_changed_one() -> None:
    store = FusionStore(SHAPE, budget=20, text=4, eviction=RULE)
    first = torch.randn(8, SHAPE.hidden, generator=torch.Generator().manual_seed(0))
    changed = first.clone()
    changed[5] = -first[5]
    for chunk, hidden in enumerate((first, changed)):
        store.add_chunk(chunk, chunk, chunk + 1, 8, 0)
        rows = TokenRows.make(
            np.arange(8), sequence=8 * chunk, role=Role.MEDIA, turn=0, chunk=chunk, modality=Modality.VIDEO, segment=0
        )
        flat = torch.zeros(SHAPE.layers, SHAPE.kv_heads, 8, SHAPE.head_dim)
        write(store, rows, flat, flat, hidden)
    store.set_budget(9)
    assert 13 in store.rows.sequence.tolist()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rotated", [True, False])
def test_bytes_are_known_in_advance(dtype: torch.dtype, rotated: bool) -> None:
    store = FusionStore(SHAPE, budget=100, text=30, dtype=dtype, rotate=rotate if rotated else None)
    assert store.nbytes == FusionStore.bytes_for(SHAPE, 100, 30, dtype, rotated=rotated)
    store.set_budget(50)
    assert store.nbytes == FusionStore.bytes_for(SHAPE, 50, 30, dtype, rotated=rotated)


def test_begin_never_evicts_but_refuses() -> None:
    stream = Stream(budget=15)
    stream.window()
    rows = TokenRows.make(np.arange(6), sequence=99, role=Role.MEDIA, turn=0, chunk=1, modality=Modality.VIDEO)
    before = stream.store.length
    with pytest.raises(BudgetError, match="audiovisual budget"):
        stream.store.begin(rows)
    with pytest.raises(BudgetError, match="text bound"):
        stream.store.begin(TokenRows.make(np.arange(99), sequence=99, role=Role.QUESTION, turn=0))
    assert stream.store.length == before


def test_what_cannot_fit_at_all_is_refused_and_changes_nothing() -> None:
    stream = Stream(budget=30)
    for _ in range(3):
        stream.window()
    before = stream.store.rows.sequence.tolist()
    with pytest.raises(BudgetError, match="audiovisual budget"):
        stream.store.evict_for(media=31)
    with pytest.raises(BudgetError, match="text bound"):
        stream.store.evict_for(media=10, text=39)
    with pytest.raises(BudgetError, match="fusion store"):
        stream.store.set_budget(0)
    assert stream.store.rows.sequence.tolist() == before


def test_a_mark_from_before_an_eviction_is_refused() -> None:
    stream = Stream(budget=20)
    stream.window()
    mark = stream.store.mark()
    stream.window()
    stream.window()
    with pytest.raises(StateError, match="rows have moved"):
        stream.store.truncate(mark)


def test_a_chunk_may_arrive_in_two_patches() -> None:
    stream = Stream()
    stream.store.add_chunk(0, 0.0, 1.0, 36, 25)
    stream.add(5, Role.MEDIA, 0, 0, Modality.VIDEO)
    stream.store.add_chunk(0, 1.0, 2.0, 36, 25)
    stream.add(5, Role.MEDIA, 0, 0, Modality.VIDEO)
    chunk = stream.store.chunks[0]
    assert (chunk.start, chunk.end, chunk.raw_video, chunk.raw_audio) == (0.0, 2.0, 72, 50)
    assert stream.store.coverage == 1.0


def test_memory_does_not_grow_with_the_stream() -> None:
    def sizes() -> Iterator[int]:
        stream = Stream()
        for _ in range(30):
            stream.window()
            yield stream.store.nbytes

    assert len(set(sizes())) == 1
