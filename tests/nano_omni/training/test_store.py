"""Training on streams that a full store has thinned: the packed pass against the pruner's own store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nano_omni import FACTS_FILE, NanoFacts, tokenizer
from nano_omni.build import corpus, initialise, make_config, save
from nano_omni.training.augment import CLEAN
from nano_omni.training.batch import Batch, Batcher, Capacity
from nano_omni.training.blocks import block_masks
from nano_omni.training.chat import Chat
from nano_omni.training.decoder import dense_masks
from nano_omni.training.forward import Thinker, deaths_of, make_media, make_scene
from nano_omni.training.layout import Column, LayoutBuilder, StreamShape
from nano_omni.training.mix import Asked, Loss, Mix, StreamPlan
from nano_omni.training.past import NEVER, sliding, stored, thinned, windows_of
from nano_omni.training.schedules import FORMS, schedule
from nano_omni.training.sight import Depths, Look
from nano_omni.world.entities import Script
from nano_omni.world.pack import pack
from nano_omni.world.render import render
from nano_omni.world.script import make_script
from nano_omni.world.sound import synthesise
from pruner.eviction import EvictionRule
from pruner.live import Ask, LiveModel
from pruner.options import LiveOptions, TurnOptions
from pruner.tokens import TokenRows
from pruner.windows import RawWindow

WINDOWS, LIMIT, BUDGET = 12, 668, 260
QUESTION = "What colour was it?"
SCRIPT = make_script(5, WINDOWS)


@pytest.fixture(scope="module")
def chat() -> Chat:
    return Chat.of(tokenizer.train_tokenizer(corpus(4)), NanoFacts().system_prompt)


@pytest.fixture(scope="module")
def checkpoint(chat: Chat, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import Qwen2_5OmniThinkerForConditionalGeneration

    model = Qwen2_5OmniThinkerForConditionalGeneration(make_config(chat.tokenizer, tiny=True))
    initialise(model, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():  # residual outputs start at zero, which would hide every mistake
            if parameter.ndim > 1 and not parameter.any():
                parameter.normal_(0, 0.7 * parameter[0].numel() ** -0.5, generator=generator)
    path = tmp_path_factory.mktemp("tiny")
    save(model, chat.tokenizer, path, NanoFacts(fusion_depth=2, position_limit=LIMIT))
    return path


class Alike(EvictionRule):
    """As served, in a world where every token informs as much as any other: what a played store knows of it."""

    def surviving(
        self, rows: TokenRows, new: NDArray[np.floating], importance: NDArray[np.floating], limit: int
    ) -> NDArray[np.bool_]:
        return super().surviving(rows, np.ones_like(new), np.zeros_like(importance), limit)


class Watched:
    """A live conversation in a small store, and when each of its rows left."""

    def __init__(self, checkpoint: Path, script: Script) -> None:
        model = LiveModel.load(checkpoint, options=LiveOptions(turn=TurnOptions(deep_share=1.0), eviction=Alike()))
        frames, samples = render(pack([script]))[0].numpy(), synthesise(pack([script]))[0].numpy()
        conversation = model.open(budget=BUDGET)
        self.deaths: dict[int, int] = {}
        alive: set[int] = set()
        for at in range(script.windows):
            fed = max(conversation.store.rows.sequence.tolist()) + 1
            here = slice(4 * at, 4 * at + 4), slice(32_000 * at, 32_000 * (at + 1))
            window = RawWindow(2.0 * at, frames[here[0]], samples[here[1]])
            model.fuse([(conversation, one) for one in model.encode([(conversation, window)])])
            now = set(conversation.store.rows.sequence.tolist())
            self.deaths |= dict.fromkeys(alive - now, fed)
            alive = now
        self.rows = conversation.store.rows.take(slice(None))
        before = self.rows.position.copy()
        (turn,) = model.guide([Ask(conversation, QUESTION)])
        after = conversation.store.rows.position[: len(before)]
        self.moved = dict(zip(before.ravel().tolist(), after.ravel().tolist(), strict=True))
        self.logits, self.next_id = turn.logits, int(conversation.store.rows.position.max()) + 1


def _packed(chat: Chat, script: Script, watched: Watched) -> Batch:
    """The same conversation as a batch, with the very deaths and positions of the live one."""
    plan = StreamPlan(script, StreamShape(2 * WINDOWS), (), [Asked(2 * WINDOWS, QUESTION, "red.", "x")])
    capacity = Capacity(2 * WINDOWS, WINDOWS, 1, 8 * 128, 64, 2048)
    batch = Batcher(chat, Mix(), capacity, 0, Depths(4, 2)).assemble([plan])
    look = batch.sight.look.numpy()
    look[:, Look.BLOCK] = np.arange(len(look))
    for row, time in watched.deaths.items():
        look[row, Look.DEATH] = time
    first, past, _ = batch.slots[0]
    look[: int(batch.rows[first, Column.LIMIT]), Look.WHEN_DEEP] = int(batch.rows[first, Column.LIMIT])
    clock = batch.sight.clock.numpy()
    shift = int(batch.rows[past - 1 - len(chat.encode("red.")), Column.POSITION]) - (watched.next_id - 1)
    clock[:] = np.arange(len(clock)) - shift
    for before, after in watched.moved.items():
        clock[before] = after
    return batch


@pytest.fixture(scope="module")
def watched(checkpoint: Path) -> Watched:
    return Watched(checkpoint, SCRIPT)


@pytest.mark.default
def test_what_training_sees_of_a_full_store_is_what_the_store_holds(
    chat: Chat, checkpoint: Path, watched: Watched
) -> None:
    assert len(watched.deaths) > 300
    moved = [before - after for before, after in watched.moved.items()]
    assert max(moved) > 40, "the question must have pushed positions down"
    assert len(set(moved)) > 3
    batch = _packed(chat, SCRIPT, watched)
    thinker = _thinker(checkpoint)
    with torch.no_grad():
        media = make_media(batch, make_scene(batch), CLEAN, None, torch.float32)
        features = thinker.encode(media, batch.anchors, batch.compressed)
        hidden, places = thinker.pruned(batch, features, dense_masks, 2)
        (mine, *_) = thinker.logits(hidden, batch.labels, places)
        whole = thinker.logits(thinker.whole(batch, features, dense_masks), batch.labels)[0]
    torch.testing.assert_close(mine, watched.logits, atol=2e-4, rtol=2e-4)
    assert (whole - watched.logits).abs().max() > 0.01, "a full store must make a difference"


@pytest.mark.default
def test_a_played_store_keeps_as_many_tokens_of_each_window_as_the_live_one(chat: Chat, watched: Watched) -> None:
    trunk = LayoutBuilder(chat, StreamShape(2 * WINDOWS)).finish().rows
    past = stored(trunk, BUDGET, LIMIT, np.random.default_rng(0))
    kept = [int((past.deaths[first:last] == NEVER).sum()) for first, last in windows_of(trunk)]
    held = np.bincount(watched.rows.chunk[watched.rows.media], minlength=WINDOWS).tolist()
    assert kept == held
    times = sorted(past.deaths[past.deaths < NEVER].tolist())
    assert times == sorted(watched.deaths.values())
    clock: NDArray[np.int32] = past.clock
    assert (np.diff(clock) >= 0).all()
    assert clock[int(trunk[-1, Column.POSITION]) + 25] < LIMIT - 90


def _thinker(checkpoint: Path) -> Thinker:
    from nano_omni.training.trainer import load

    return Thinker(load(checkpoint, torch.device("cpu"))[0].eval())


def test_of_every_window_the_luckiest_stay_longest() -> None:
    block = torch.tensor([0, 1, 1, 1, 1, 5, 6, 6])
    by_rank = torch.tensor([99, 40, 30, 20, 10, 99, 70, 60])
    luck = torch.tensor([-1.0, 0.9, 0.1, 0.5, 0.3, -1.0, 0.2, 0.1])
    assert deaths_of(block, by_rank, luck).tolist() == [99, 10, 40, 20, 30, 99, 60, 70]


def test_thinned_and_sliding_pasts_keep_what_they_say(chat: Chat) -> None:
    trunk = LayoutBuilder(chat, StreamShape(16)).finish().rows
    spans = windows_of(trunk)
    assert len(spans) == 8
    assert sum(last - first for first, last in spans) == int((trunk[:, Column.KIND] > 0).sum())
    some = thinned(trunk, 0.25)
    shares = [float((some.deaths[first:last] == NEVER).mean()) for first, last in spans]
    assert all(abs(share - 0.25) < 0.02 for share in shares)
    seen = sliding(trunk, 3)
    for at, (first, last) in enumerate(spans):
        expected = spans[at + 3][0] if at + 3 < 8 else NEVER
        assert set(seen.deaths[first:last].tolist()) == {int(expected)}
    assert (seen.deaths[trunk[:, Column.KIND] == 0] == NEVER).all()


@pytest.mark.parametrize("form", FORMS)
def test_schedules_never_rise_and_end_where_they_should(form: str) -> None:
    shares = schedule(form, 0.1, 12, 6, np.random.default_rng(0))
    assert shares[0] == 1
    assert (np.diff(shares) <= 1e-6).all()
    assert shares[-1] == pytest.approx(0.1)
    if form in ("flat", "falling", "ladder"):
        assert (shares[:6] == 1).all()
    with pytest.raises(ValueError, match="unknown form"):
        schedule("steep", 0.1, 12, 6, np.random.default_rng(0))


@pytest.mark.default
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_blocks_and_dense_masks_give_the_same_states(chat: Chat, checkpoint: Path) -> None:
    thinker = _thinker(checkpoint)
    loss = Loss("stored", 260, 500, salience=0.5, drops="slot", forms=(1, 1, 1, 1, 1), keep=(0.2, 0.8), spared=0.5)
    asked = [Asked(16, QUESTION, "red.", "x", evidence=(4, 7)), Asked(16, "Where was it?", "left.", "x")]
    plan = StreamPlan(make_script(3, 8), StreamShape(16), (Asked(7, "Is it?", "yes.", "x"),), asked, loss)
    batch = Batcher(chat, Mix(), Capacity(16, 8, 4, 6 * 128, 64, 2048), 0, Depths(4, 2)).assemble([plan])
    media = make_media(batch, make_scene(batch), CLEAN, None, torch.float32)
    labelled = batch.labels[batch.labels[:, 0] >= 0, 0].long()
    with torch.no_grad():
        features = thinker.encode(media, batch.anchors, batch.compressed)
        dense, blocks = (
            hidden[places[labelled]]
            for hidden, places in (thinker.pruned(batch, features, masks, 2) for masks in (dense_masks, block_masks))
        )
        whole = thinker.whole(batch, features, dense_masks), thinker.whole(batch, features, block_masks)
    assert len(labelled) > 4
    torch.testing.assert_close(blocks, dense, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(whole[1], whole[0], atol=1e-5, rtol=1e-4)
    assert (whole[0][labelled] - dense).abs().max() > 0.01


def test_facts_say_how_many_positions_were_trained(checkpoint: Path) -> None:
    known: dict[str, Any] = json.loads((checkpoint / FACTS_FILE).read_text())
    assert known["position_limit"] == LIMIT
    assert LiveModel.load(checkpoint).facts.position_limit == LIMIT
