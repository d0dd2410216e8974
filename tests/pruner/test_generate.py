"""The drop-in against transformers' own `generate`, on processor inputs written by hand."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import pruner
from pruner import InputError, LiveModel, ScheduleError, UnsupportedModelError
from pruner.families.frames import patchify
from pruner.policies import NAMES, RandomInput

SECONDS, ROWS, COLUMNS = 5, 3, 3
REACHABLE = 0.55  # on this small clip and few layers; some policies keep more by construction
FULLER = {"ttm": 0.75, "keep_audio": 0.8}


@pytest.fixture(scope="module")
def thinker(load_tiny: Callable[..., LiveModel]) -> Any:
    model: Any = load_tiny().model.thinker
    model.generation_config.pad_token_id = 0
    return model


def _inputs(thinker: Any, *, sound: bool = True, image: bool = False, seed: int = 0) -> dict[str, Any]:
    """A prompt with one clip of 5 s, interleaved as the processor does it, and perhaps a picture before it."""
    config, per_second = thinker.config, ROWS * COLUMNS
    rng = torch.Generator().manual_seed(seed)
    frames = torch.randint(0, 256, (1, 2 * SECONDS, 28 * ROWS, 28 * COLUMNS, 3), dtype=torch.uint8, generator=rng)
    ids, inputs = [20, 21, 22], dict[str, Any]()
    if image:
        inputs["pixel_values"] = patchify(frames[:, :2].flip(2))
        inputs["image_grid_thw"] = torch.tensor([[1, 2 * ROWS, 2 * COLUMNS]])
        ids += [config.vision_start_token_id, *[config.image_token_id] * per_second, config.vision_end_token_id]
    ids.append(config.vision_start_token_id)
    if sound:
        ids.append(config.audio_start_token_id)
        for start in range(0, SECONDS, 2):
            length = min(2, SECONDS - start)
            ids += [config.video_token_id] * (length * per_second) + [config.audio_token_id] * (25 * length)
        ids.append(config.audio_end_token_id)
        mel = torch.randn(1, 128, 600, generator=rng)
        inputs["input_features"] = mel
        inputs["feature_attention_mask"] = (torch.arange(600) < 100 * SECONDS).long()[None]
    else:
        ids += [config.video_token_id] * (SECONDS * per_second)
    ids += [config.vision_end_token_id, 40, 41, 42, 2, 30, 1, 31]
    inputs["input_ids"] = torch.tensor([ids])
    inputs["attention_mask"] = torch.ones(1, len(ids), dtype=torch.long)
    inputs["pixel_values_videos"] = patchify(frames)
    inputs["video_grid_thw"] = torch.tensor([[SECONDS, 2 * ROWS, 2 * COLUMNS]])
    inputs["video_second_per_grid"] = torch.tensor([1.0])
    return inputs


@pytest.mark.parametrize(("sound", "image"), [(True, False), (False, False), (True, True)])
def test_keeping_everything_is_transformers_generate(thinker: Any, sound: bool, image: bool) -> None:
    inputs = _inputs(thinker, sound=sound, image=image)
    theirs = thinker.generate(**inputs, use_audio_in_video=sound, max_new_tokens=10, do_sample=False)
    assert torch.equal(pruner.generate(thinker, inputs, retention=1.0, max_new_tokens=10), theirs)


class _Streamer:
    def __init__(self) -> None:
        self.seen: list[Tensor] = []
        self.ended = False

    def put(self, value: Tensor) -> None:
        self.seen.append(value.flatten())

    def end(self) -> None:
        self.ended = True


def test_a_streamer_sees_prompt_and_answer(thinker: Any) -> None:
    inputs, streamer = _inputs(thinker), _Streamer()
    ids = pruner.generate(thinker, inputs, retention=REACHABLE, max_new_tokens=4, streamer=streamer)
    assert streamer.ended
    assert torch.equal(torch.cat(streamer.seen), ids[0])
    assert len(streamer.seen[0]) == inputs["input_ids"].shape[1]


@pytest.mark.parametrize("policy", NAMES)
def test_every_policy_runs(thinker: Any, policy: str) -> None:
    inputs = _inputs(thinker)
    ids = pruner.generate(thinker, inputs, retention=FULLER.get(policy, REACHABLE), policy=policy, max_new_tokens=3)
    assert torch.equal(ids[:, : inputs["input_ids"].shape[1]], inputs["input_ids"])


def test_dropping_half_changes_what_is_said(thinker: Any) -> None:
    inputs = _inputs(thinker)
    whole = pruner.generate(thinker, inputs, retention=1.0, max_new_tokens=10)
    half = pruner.generate(thinker, inputs, policy=RandomInput(0.5), max_new_tokens=10)
    assert not np.array_equal(whole.numpy(), half.numpy())


def test_the_model_is_left_as_it_was(thinker: Any) -> None:
    before = {name: weight.data_ptr() for name, weight in thinker.named_parameters()}
    pruner.generate(thinker, _inputs(thinker), retention=REACHABLE, max_new_tokens=1)
    assert before == {name: weight.data_ptr() for name, weight in thinker.named_parameters()}


def test_inputs_that_cannot_be_used(thinker: Any) -> None:
    inputs = _inputs(thinker)
    with pytest.raises(InputError, match="2 prompts"):
        pruner.generate(thinker, {**inputs, "input_ids": inputs["input_ids"].repeat(2, 1)})
    fewer = {**inputs, "input_ids": inputs["input_ids"][:, 10:]}
    with pytest.raises(InputError, match="video placeholders"):
        pruner.generate(thinker, fewer)
    with pytest.raises(ScheduleError, match="reachable"):
        pruner.generate(thinker, inputs, retention=0.01)
    with pytest.raises(UnsupportedModelError):
        pruner.generate(SimpleNamespace(config=SimpleNamespace(model_type="bert")), inputs)
