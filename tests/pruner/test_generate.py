"""The drop-in against transformers' own `generate`, on processor inputs written by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import pruner
from pruner import InputError, LiveModel, ScheduleError, UnsupportedModelError
from pruner.decoder import LayeredDecoder
from pruner.families.facts import family_of
from pruner.families.frames import patchify
from pruner.families.omni import FAMILIES
from pruner.generate import _select
from pruner.oneshot import Decoding
from pruner.policies import NAMES, Everything, RandomInput, make
from pruner.processed import read_clip
from pruner.transfer import Fetched

from .test_decoder import Waits

SECONDS, ROWS, COLUMNS = 5, 3, 3
REACHABLE = 0.55  # on this small clip and few layers; some policies keep more by construction
FULLER = {"ttm": 0.75, "keep_audio": 0.8}


@pytest.fixture(scope="module")
def thinker(load_tiny: Callable[..., LiveModel]) -> Any:
    model: Any = load_tiny().model.thinker
    model.generation_config.pad_token_id = 0
    return model


def _inputs(
    thinker: Any, *, sound: bool = True, image: bool = False, spoken: int = 0, words: bool = True, seed: int = 0
) -> dict[str, Any]:
    """A prompt with one clip of 5 s, interleaved as the processor does it, and perhaps a picture before it; asked in
    words, or by so many seconds of speech, or both."""
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
        heard = [SECONDS]
    else:
        ids += [config.video_token_id] * (SECONDS * per_second)
        heard = []
    ids.append(config.vision_end_token_id)
    if spoken:
        ids += [config.audio_start_token_id, *[config.audio_token_id] * (25 * spoken), config.audio_end_token_id]
        heard.append(spoken)
    if heard:
        inputs["input_features"] = torch.randn(len(heard), 128, 600, generator=rng)
        inputs["feature_attention_mask"] = (torch.arange(600) < 100 * torch.tensor(heard)[:, None]).long()
    ids += [*([40, 41, 42] if words else []), 2, 30, 1, 31]
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


@pytest.mark.parametrize(("sound", "words"), [(True, False), (False, False), (True, True)])
def test_keeping_everything_of_a_spoken_question_is_transformers_generate(
    thinker: Any, sound: bool, words: bool
) -> None:
    inputs = _inputs(thinker, sound=sound, spoken=2, words=words)
    theirs = thinker.generate(**inputs, use_audio_in_video=sound, max_new_tokens=10, do_sample=False)
    ours = pruner.generate(thinker, inputs, retention=1.0, question_audio=-1, max_new_tokens=10)
    assert torch.equal(ours, theirs)
    assert torch.equal(pruner.generate(thinker, inputs, retention=1.0, max_new_tokens=10), theirs)


@pytest.mark.gpu
def test_keeping_everything_is_transformers_generate_on_a_gpu(tiny_directory: Path) -> None:
    thinker: Any = LiveModel.load(tiny_directory, device="cuda").model.thinker
    thinker.generation_config.pad_token_id = 0
    inputs = {name: tensor.cuda() for name, tensor in _inputs(thinker, spoken=2).items()}
    theirs = thinker.generate(**inputs, use_audio_in_video=True, max_new_tokens=10, do_sample=False)
    assert torch.equal(pruner.generate(thinker, inputs, retention=1.0, question_audio=-1, max_new_tokens=10), theirs)
    pruned = pruner.generate(thinker, inputs, retention=REACHABLE, question_audio=-1, max_new_tokens=10)
    assert pruned.shape[1] > inputs["input_ids"].shape[1]


@pytest.mark.parametrize("words", [False, True])
def test_a_spoken_question_asks_and_stays_whole(thinker: Any, words: bool) -> None:
    inputs = _inputs(thinker, spoken=2, words=words)
    family = family_of(thinker.config.model_type, FAMILIES)
    clip = read_clip(family, thinker, inputs, question_audio=1)
    header = 4  # <|im_end|>, a line's end, <|im_start|>, the assistant
    assert clip.question == 50 + (1 + 3 if words else 0)
    assert clip.tail == 50 + 1 + (3 if words else 0) + header
    scene = read_clip(family, thinker, _inputs(thinker, spoken=0))
    assert int(clip.media.sum()) == int(scene.media.sum())
    assert [len(one.audio) for one in clip.windows] == [len(one.audio) for one in scene.windows]
    first = inputs["input_ids"].shape[1] - clip.tail
    mel = inputs["input_features"][1:, :, :200]
    heard, _ = family.audio(thinker)(mel)
    torch.testing.assert_close(clip.embeddings[first : first + 50], heard[0])
    as_scene = read_clip(family, thinker, inputs)
    assert int(as_scene.media.sum()) == int(scene.media.sum()) + 50
    pruned = pruner.generate(thinker, inputs, retention=REACHABLE, question_audio=1, max_new_tokens=3)
    assert torch.equal(pruned[:, : inputs["input_ids"].shape[1]], inputs["input_ids"])


def test_speech_that_cannot_be_the_question(thinker: Any) -> None:
    inputs = _inputs(thinker, spoken=2)
    for which in (2, -3):
        with pytest.raises(InputError, match=f"is {which}, of 2 sounds"):
            pruner.generate(thinker, inputs, question_audio=which)
    with pytest.raises(InputError, match="the sound of a video"):
        pruner.generate(thinker, inputs, question_audio=0)
    with pytest.raises(InputError, match="of 0 sounds"):
        pruner.generate(thinker, _inputs(thinker, sound=False), question_audio=0)
    silent = _inputs(thinker, sound=False, spoken=2)
    row = silent["input_ids"][0]
    begin = row.tolist().index(thinker.config.audio_start_token_id)
    begun, speech, rest = row[:3], row[begin : begin + 52], row[begin + 52 :]
    silent["input_ids"] = torch.cat((begun, speech, row[3:begin], rest))[None]  # the scene comes after its question
    with pytest.raises(InputError, match="before the end of the scene"):
        pruner.generate(thinker, silent, question_audio=0)


@pytest.mark.parametrize("ahead", [False, True])
def test_an_answer_waits_for_the_device_once_a_token(
    thinker: Any, ahead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    read = Fetched.numpy
    monkeypatch.setattr(Fetched, "numpy", lambda fetched: reads.append(1) or read(fetched))  # type: ignore[func-returns-value]
    passes: list[int] = []
    decode = LayeredDecoder.decode
    monkeypatch.setattr(LayeredDecoder, "decode", lambda *args: passes.append(1) or decode(*args))  # type: ignore[func-returns-value]
    inputs = _inputs(thinker)
    clip = read_clip(family_of(thinker.config.model_type, FAMILIES), thinker, inputs)
    method = make("omnidrop", REACHABLE, 4)
    stack = family_of(thinker.config.model_type, FAMILIES).stack(thinker, False)
    prompted = _select(clip, method)
    run = Decoding(stack, prompted, method.prune(prompted.asked(stack.layers)), limit=6, ahead=ahead)
    reads.clear()
    with Waits() as waits:
        begun = []
        for _ in range(3):
            next(run)
            begun.append(len(passes))
        assert begun == ([1, 2, 3] if ahead else [0, 1, 2])
        rest = list(run)
    assert (len(rest), len(reads), len(passes), waits.found) == (3, 6, 5, [])


def test_going_ahead_changes_no_token(thinker: Any) -> None:
    inputs = _inputs(thinker)
    family = family_of(thinker.config.model_type, FAMILIES)
    stack = family.stack(thinker, False)
    prompted = _select(read_clip(family, thinker, inputs), Everything())
    both = [
        list(Decoding(stack, prompted, Everything().prune(prompted.asked(stack.layers)), limit=8, ahead=ahead))
        for ahead in (False, True)
    ]
    assert both[0] == both[1]
    assert len(both[0]) == 8


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


@pytest.mark.parametrize(("named", "stop"), [(2, {2}), ([2, 5], {2, 5}), (None, {151_645})])
def test_an_answer_ends_where_the_thinker_says_in_its_configuration_alone(
    named: int | list[int] | None, stop: set[int], thinker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    family, inputs = family_of(thinker.config.model_type, FAMILIES), _inputs(thinker)
    usual = read_clip(family, thinker, inputs)
    # as Qwen publishes it: neither in its generation_config.json nor among the decoder's settings
    monkeypatch.setattr(thinker.generation_config, "eos_token_id", None)
    monkeypatch.setattr(thinker.config.text_config, "eos_token_id", None)
    monkeypatch.setattr(thinker.config, "eos_token_id", named, raising=False)
    clip = read_clip(family, thinker, inputs)
    assert clip.stop == stop
    if named:
        assert (clip.tail, clip.question) == (usual.tail, usual.question) == (7, 3)


def test_nothing_to_prune(thinker: Any) -> None:
    inputs = {"input_ids": torch.tensor([[1, 30, 40, 41, 2, 30, 1, 31]])}
    theirs = thinker.generate(**inputs, max_new_tokens=6, do_sample=False)
    assert torch.equal(pruner.generate(thinker, inputs, retention=0.3, max_new_tokens=6), theirs)


def test_inputs_that_cannot_be_used(thinker: Any) -> None:
    inputs = _inputs(thinker)
    with pytest.raises(InputError, match="2 prompts"):
        pruner.generate(thinker, {**inputs, "input_ids": inputs["input_ids"].repeat(2, 1)})
    fewer = {**inputs, "input_ids": inputs["input_ids"][:, 10:]}
    with pytest.raises(InputError, match="video placeholders"):
        pruner.generate(thinker, fewer)
    with pytest.raises(ScheduleError, match="reachable"):
        pruner.generate(thinker, inputs, retention=0.01)
    with pytest.raises(InputError, match=r"retention: is 1\.5"):
        pruner.generate(thinker, inputs, retention=1.5)
    with pytest.raises(InputError, match="max_new_tokens: is 0"):
        pruner.generate(thinker, inputs, max_new_tokens=0)
    with pytest.raises(UnsupportedModelError):
        pruner.generate(SimpleNamespace(config=SimpleNamespace(model_type="bert")), inputs)
