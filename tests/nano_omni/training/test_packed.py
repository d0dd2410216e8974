"""The packed multi-slot pass against transformers' own forward on each conversation alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import Qwen2_5OmniThinkerForConditionalGeneration

from nano_omni import NanoFacts, tokenizer
from nano_omni.build import corpus, initialise, make_config
from nano_omni.training.augment import CLEAN
from nano_omni.training.batch import Batch, Batcher, Capacity
from nano_omni.training.chat import Chat
from nano_omni.training.decoder import dense_masks
from nano_omni.training.forward import Thinker, make_media, make_scene
from nano_omni.training.layout import AUDIO, TEXT, VIDEO, Column, StreamShape
from nano_omni.training.mix import Asked, Mix, StreamPlan
from nano_omni.training.sight import Depths
from nano_omni.world.render import render
from nano_omni.world.script import make_script
from nano_omni.world.sound import synthesise
from pruner.compress import MergeState, keep_video
from pruner.families.frames import patchify
from pruner.families.mel import log_mel

RATE = 16_000
WINDOWS = 10
TURN_CUTS = (5, 5, 13)
SLOT_CUTS = (1, 4, 5, 6, 8, 15, 20)


@pytest.fixture(scope="module")
def tokens() -> Any:
    return tokenizer.train_tokenizer(corpus(20))


@pytest.fixture(scope="module")
def model(tokens: Any) -> Any:
    made = Qwen2_5OmniThinkerForConditionalGeneration(make_config(tokens, tiny=True))
    initialise(made, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in made.parameters():  # residual outputs start at zero, which would hide every mistake
            if parameter.ndim > 1 and not parameter.any():
                parameter.normal_(0, 0.7 * parameter[0].numel() ** -0.5, generator=generator)
    return made.eval()


def _batch(chat: Chat, shape: StreamShape) -> Batch:
    script = make_script(5, WINDOWS)
    turns = [Asked(cut, f"What is there at {cut}?", "a bell.", "x") for cut in TURN_CUTS]
    slots = [
        Asked(cut, f"What colour was it at {cut}?", "red.", "x", after_turn=after)
        for cut in SLOT_CUTS
        for after in (False, True)
    ]
    capacity = Capacity(2 * WINDOWS, WINDOWS, short_windows=8, tokens=30 * 128, labels=256, ids=2048)
    return Batcher(chat, Mix(), capacity, 0, Depths(4, 2)).assemble([StreamPlan(script, shape, turns, slots)])


def _conversation(batch: Batch, first: int, last: int) -> Tensor:
    """Token rows of one slot's conversation: the trunk it sees, then its own."""
    limit = int(batch.rows[first, Column.LIMIT])
    return torch.cat([batch.rows[:limit], batch.rows[first:last]])


def _windows(batch: Batch, rows: Tensor) -> list[tuple[int, int]]:
    """(start, seconds) of the conversation's audio windows."""
    found = dict.fromkeys(rows[rows[:, Column.KIND] == AUDIO, Column.SOURCE].tolist())
    return [
        (int(batch.long[row, 1]), 2) if row < len(batch.long) else (int(batch.short[row - len(batch.long), 1]), 1)
        for row in found
    ]


def _oracle(model: Any, tokens: Any, batch: Batch, rows: Tensor) -> Tensor:
    """Logits of transformers' forward on the conversation, media given as it expects them."""
    kinds = rows[:, Column.KIND]
    ids = rows[:, Column.TEXT].long()
    ids = torch.where(kinds == VIDEO, tokens.convert_tokens_to_ids(tokenizer.VIDEO), ids)
    ids = torch.where(kinds == AUDIO, tokens.convert_tokens_to_ids(tokenizer.AUDIO), ids)
    frames, samples = render(batch.scripts)[0], synthesise(batch.scripts)
    windows, running, mels = _windows(batch, rows), None, []
    for start, seconds in windows:
        left = samples[:, start * RATE - 200 : start * RATE] if start else None
        mel, running = log_mel(samples[:, start * RATE : (start + seconds) * RATE], left, running)
        mels.append(mel[0])
    bos = tokens.convert_tokens_to_ids(tokenizer.AUDIO_BOS)
    segment = torch.cumsum((ids == bos).long(), 0)
    per_token = torch.stack([segment[kinds == AUDIO], rows[kinds == AUDIO, Column.SOURCE].long()])
    owner = [int(segment_id) for segment_id, _ in dict.fromkeys(map(tuple, per_token.T.tolist()))]
    grids, pixels, features = [], [], []
    for which in dict.fromkeys(owner):
        mine = [index for index, other in enumerate(owner) if other == which]
        first, seconds = windows[mine[0]][0], sum(windows[index][1] for index in mine)
        pixels.append(patchify(frames[None, 2 * first : 2 * (first + seconds)]))
        grids.append([seconds, 12, 12])
        features.append(torch.cat([mels[index] for index in mine], dim=1))
    longest = max(feature.shape[1] for feature in features)
    mask = torch.tensor([[1] * f.shape[1] + [0] * (longest - f.shape[1]) for f in features])
    padded = torch.stack([torch.nn.functional.pad(f, (0, longest - f.shape[1])) for f in features])
    with torch.no_grad():
        return model(
            input_ids=ids[None],
            attention_mask=torch.ones_like(ids)[None],
            pixel_values_videos=torch.cat(pixels),
            video_grid_thw=torch.tensor(grids),
            video_second_per_grid=torch.ones(len(grids)),
            input_features=padded,
            feature_attention_mask=mask,
            use_audio_in_video=True,
        ).logits[0]


@pytest.mark.default
def test_every_slot_gets_the_logits_of_its_own_conversation(model: Any, tokens: Any) -> None:
    chat = Chat.of(tokens, NanoFacts().system_prompt)
    batch = _batch(chat, StreamShape(2 * WINDOWS, compressed=False))
    thinker = Thinker(model)
    with torch.no_grad():
        features = thinker.encode(
            make_media(batch, make_scene(batch), CLEAN, None, torch.float32), batch.anchors, batch.compressed
        )
        packed = thinker.logits(thinker.whole(batch, features, dense_masks), batch.labels)
        hidden, places = thinker.pruned(batch, features, dense_masks, 2)
        pruned = thinker.logits(hidden, batch.labels, places)
    torch.testing.assert_close(pruned[batch.labels[:, 0] >= 0], packed[batch.labels[:, 0] >= 0])
    index = batch.labels[:, 0]
    assert len(batch.slots) == 2 * len(SLOT_CUTS)
    for first, last, _ in batch.slots:
        rows = _conversation(batch, first, last)
        expected = _oracle(model, tokens, batch, rows)
        mine = (index >= first) & (index < last)
        at = index[mine].long() - last + len(rows)
        torch.testing.assert_close(packed[mine], expected[at], atol=1e-4, rtol=1e-4)
        assert expected[at].std() > 1e-3


@pytest.mark.parametrize(("video", "audio"), [(True, True), (True, False), (False, True)])
def test_compressed_layout_keeps_what_the_pruner_keeps(model: Any, tokens: Any, video: bool, audio: bool) -> None:
    chat = Chat.of(tokens, NanoFacts().system_prompt)
    batch = _batch(chat, StreamShape(2 * WINDOWS, video, audio, compressed=True))
    thinker = Thinker(model)
    with torch.no_grad():
        features = thinker.encode(
            make_media(batch, make_scene(batch), CLEAN, None, torch.float32), batch.anchors, batch.compressed
        )
    for first, last, _ in batch.slots:
        rows = _conversation(batch, first, last)
        kind = rows[:, Column.KIND]
        wrappers = {chat.vision[0], chat.audio[0]}
        state: MergeState | None = None
        expected: list[tuple[int, int, int]] = []
        previous: tuple[int, int] | None = None
        for row in rows.tolist():
            if row[Column.KIND] == TEXT:
                state = None if row[Column.TEXT] in wrappers else state
                continue
            key = (row[Column.KIND], row[Column.SOURCE])
            if key == previous:
                continue
            previous = key
            if key[0] == VIDEO:
                kept, state = keep_video(features.video[key[1]][None], state)
            else:
                kept = features.audio_order[key[1]][: int((rows[kind == AUDIO, Column.SOURCE] == key[1]).sum())]
            expected += [(*key, int(index)) for index in kept]
        got = []
        for row in rows.tolist():
            if row[Column.KIND] != TEXT:
                order = features.video_order if row[Column.KIND] == VIDEO else features.audio_order
                got.append((row[Column.KIND], row[Column.SOURCE], int(order[row[Column.SOURCE], row[Column.RANK]])))
        assert got == expected
