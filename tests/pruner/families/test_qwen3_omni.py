"""Qwen3-Omni's towers, its drop-in and its order of tokens against transformers' own."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import pruner
from pruner.deep import DeepCache, DeepPass
from pruner.families.audio3 import AudioTower3
from pruner.families.frames import HALF, patchify
from pruner.families.omni import OmniModel
from pruner.families.qwen2_5_omni import part, text_stack
from pruner.families.vision3 import VisionTower3

SECONDS, ROWS, COLUMNS = 5, 3, 3


@pytest.fixture(scope="module")
def thinker(tiny3_directory: Any) -> Any:
    model: Any = OmniModel.load(tiny3_directory).thinker
    model.generation_config.pad_token_id = 0
    return model


@pytest.mark.parametrize(("rows", "columns"), [(3, 3), (1, 4), (5, 2)])
def test_vision_equals_transformers_on_a_whole_clip(thinker: Any, rows: int, columns: int) -> None:
    tower = part(thinker, "visual")
    frames = torch.randint(0, 256, (2, 6, 32 * rows, 32 * columns, 3), dtype=torch.uint8)
    ours = VisionTower3(tower, rows, columns)(frames).flatten(0, 2)
    grid = torch.tensor([[3, 2 * rows, 2 * columns]] * 2)
    theirs: Any = tower(patchify(frames, patch=16, normal=HALF), grid_thw=grid)
    expected = torch.cat((theirs.pooler_output, *theirs.deepstack_features), dim=-1)
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("frames", [60, 100, 250, 800])
def test_audio_equals_transformers_up_to_eight_seconds(thinker: Any, frames: int) -> None:
    tower = part(thinker, "audio_tower")
    mel = torch.randn(128, frames, generator=torch.Generator().manual_seed(frames))
    tokens, saliency = AudioTower3(tower)(mel[None])
    theirs: Any = tower(mel, feature_lens=torch.tensor([frames]))
    torch.testing.assert_close(tokens[0], theirs.last_hidden_state, atol=1e-4, rtol=1e-4)
    assert saliency.shape == tokens.shape[:2]
    assert float(saliency.sum()) == pytest.approx(1.0, abs=1e-4)


def test_a_window_alone_is_not_quite_eight_seconds_at_once(thinker: Any) -> None:
    """The stated difference: attention of a live window ends at its borders."""
    tower = AudioTower3(part(thinker, "audio_tower"))
    mel = torch.randn(1, 128, 800, generator=torch.Generator().manual_seed(0))
    whole, _ = tower(mel)
    alone = torch.cat([tower(mel[:, :, start : start + 200])[0] for start in range(0, 800, 200)], dim=1)
    assert alone.shape == whole.shape == (1, 104, 32)
    assert not torch.allclose(alone, whole, atol=1e-3)


def _inputs(thinker: Any, *, sound: bool = True, image: bool = False, spoken: int = 0) -> dict[str, Any]:
    """A prompt with one clip of 5 s, its tokens taking turns by the second, and perhaps a picture before it; asked in
    words, or by so many seconds of speech."""
    config, per_second = thinker.config, ROWS * COLUMNS
    rng = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (1, 2 * SECONDS, 32 * ROWS, 32 * COLUMNS, 3), dtype=torch.uint8, generator=rng)
    ids, inputs = [20, 21, 22], dict[str, Any]()
    if image:
        inputs["pixel_values"] = patchify(frames[:, :2].flip(2), patch=16, normal=HALF)
        inputs["image_grid_thw"] = torch.tensor([[1, 2 * ROWS, 2 * COLUMNS]])
        ids += [config.vision_start_token_id, *[config.image_token_id] * per_second, config.vision_end_token_id]
    ids.append(config.vision_start_token_id)
    if sound:
        ids.append(config.audio_start_token_id)
        ids += ([config.video_token_id] * per_second + [config.audio_token_id] * 13) * SECONDS
        ids.append(config.audio_end_token_id)
        heard = [SECONDS]
    else:
        ids += [config.video_token_id] * (SECONDS * per_second)
        heard = []
    ids.append(config.vision_end_token_id)
    if spoken:
        ids += [config.audio_start_token_id, *[config.audio_token_id] * (13 * spoken), config.audio_end_token_id]
        heard.append(spoken)
    if heard:
        inputs["input_features"] = torch.randn(len(heard), 128, 600, generator=rng)
        inputs["feature_attention_mask"] = (torch.arange(600) < 100 * torch.tensor(heard)[:, None]).long()
    ids += [*([] if spoken else [40, 41, 42]), 2, 30, 1, 31]
    inputs["input_ids"] = torch.tensor([ids])
    inputs["attention_mask"] = torch.ones(1, len(ids), dtype=torch.long)
    inputs["pixel_values_videos"] = patchify(frames, patch=16, normal=HALF)
    inputs["video_grid_thw"] = torch.tensor([[SECONDS, 2 * ROWS, 2 * COLUMNS]])
    inputs["video_second_per_grid"] = torch.tensor([1.0])
    return inputs


@pytest.mark.parametrize(("sound", "image"), [(True, False), (False, False), (True, True)])
def test_keeping_everything_is_transformers_generate(thinker: Any, sound: bool, image: bool) -> None:
    inputs = _inputs(thinker, sound=sound, image=image)
    theirs = thinker.generate(**inputs, use_audio_in_video=sound, max_new_tokens=8, do_sample=False)
    assert torch.equal(pruner.generate(thinker, inputs, retention=1.0, max_new_tokens=8), theirs)


@pytest.mark.parametrize("sound", [True, False])
def test_keeping_everything_of_a_spoken_question_is_transformers_generate(thinker: Any, sound: bool) -> None:
    inputs = _inputs(thinker, sound=sound, spoken=2)
    theirs = thinker.generate(**inputs, use_audio_in_video=sound, max_new_tokens=8, do_sample=False)
    assert torch.equal(pruner.generate(thinker, inputs, retention=1.0, question_audio=-1, max_new_tokens=8), theirs)


class _DropTheSecond:
    """Drops the second audiovisual token after layer 0."""

    drops = (1, 0, 0)

    def observe(self, layer: int, attention: torch.Tensor) -> None:
        pass

    def select(self, layer: int) -> torch.Tensor:
        return torch.tensor([0, 2])


def test_deepstack_follows_the_tokens_that_are_pruned_from_the_first_layer_on(thinker: Any) -> None:
    stack = text_stack(thinker, own=False, interleaved=True)
    rows, size, kept = 6, stack.hidden_size, [0, 1, 3, 4, 5]
    added = torch.randn(rows, 2 * size)
    one = DeepPass(
        torch.zeros(rows, size),
        stack.angles(torch.zeros(3, rows, dtype=torch.int64)),
        torch.tensor([1, 2, 4]),
        torch.tensor([0, 3, 5]),
        tail=1,
        pruner=_DropTheSecond(),
        cache=DeepCache(stack, [rows], 1),
        added=added,
    )
    one.leave(0, torch.zeros(rows, size))
    assert torch.equal(one.hidden, added[kept, :size])
    one.leave(1, torch.zeros(len(kept), size))
    assert torch.equal(one.hidden, added[kept, size:])
    one.leave(2, torch.zeros(len(kept), size))
    assert not one.hidden.any()
