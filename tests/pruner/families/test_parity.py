"""Each family against transformers' own forward on the whole conversation: video, sound and several turns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import AutoTokenizer

import pruner.placed
from pruner import Ask, LiveModel, RawWindow, TurnOptions
from pruner.compress import MergeState
from pruner.families.frames import CLIP, HALF, patchify
from pruner.families.qwen2_5_omni import part
from pruner.question import from_speech
from tests.pruner.test_question import whisper

WHOLE = TurnOptions(deep_share=1.0, max_tokens=3)
TURNS = ((2, 2), (2,), (2, 2, 1))


class _Family:
    """What transformers is to be given for a family, by its own names."""

    def __init__(self, directory: Path) -> None:
        self.model = LiveModel.load(directory)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(directory)
        self.third = self.model.facts.deepstack > 0
        thinker: Any = self.model.model.thinker
        self.thinker = thinker
        if self.third:
            # a live window is encoded by itself; transformers is told to look no further either
            tower = part(thinker, "audio_tower")
            tower.n_window_infer = 200

    @property
    def sound(self) -> tuple[str, str]:
        """What brackets a sound of its own."""
        return ("<|audio_start|>", "<|audio_end|>") if self.third else ("<|audio_bos|>", "<|audio_eos|>")

    @property
    def brackets(self) -> tuple[str, str]:
        if self.third:
            return "<|vision_start|><|audio_start|>", "<|audio_end|><|vision_end|>"
        return "<|vision_bos|><|audio_bos|>", "<|audio_eos|><|vision_eos|>"

    def ids(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        return found

    def media(self, lengths: tuple[int, ...]) -> list[int]:
        """Placeholders in the order of the family's processor."""
        config = self.thinker.config
        video, audio = [config.video_token_id] * 9, [config.audio_token_id]
        if self.third:
            return (video + audio * 13) * sum(lengths)
        return [token for seconds in lengths for token in video * seconds + audio * (25 * seconds)]

    def pixels(self, frames: np.ndarray) -> Tensor:
        patch, normal = (16, HALF) if self.third else (14, CLIP)
        return patchify(torch.from_numpy(frames)[None], patch=patch, normal=normal)


def _keep_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    def video(tokens: Tensor, state: MergeState | None, keep: float) -> tuple[Tensor, MergeState]:
        return torch.arange(tokens.shape[0] * tokens.shape[1]), state or MergeState()

    monkeypatch.setattr(pruner.placed, "keep_video", video)
    monkeypatch.setattr(pruner.placed, "keep_audio", lambda saliency, keep: torch.arange(len(saliency)))


def _record(model: LiveModel, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What the audio tower is given from now on."""
    heard: list[Tensor] = []
    tower = model.model.audio

    class Recorder:
        bins, block_frames, device = tower.bins, tower.block_frames, tower.device

        def __call__(self, mel: Tensor) -> tuple[Tensor, Tensor]:
            heard.append(mel[0])
            return tower(mel)

    monkeypatch.setattr(model.model, "audio", Recorder())
    return heard


def _speech(number: int) -> np.ndarray:
    """A spoken question: 1.5 s, silent at the end."""
    samples = (0.3 * np.random.default_rng(number).standard_normal(24_000)).astype(np.float32)
    samples[-4_000:] = 0
    return samples


@pytest.mark.parametrize("spoken", [(), (0, 2)], ids=["written", "spoken"])
@pytest.mark.parametrize("directory", ["tiny_directory", "tiny3_directory"])
def test_a_conversation_is_transformers_own_forward(
    directory: str, spoken: tuple[int, ...], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = _Family(request.getfixturevalue(directory))
    model = family.model
    _keep_everything(monkeypatch)
    heard = _record(model, monkeypatch)
    conversation = model.open(budget=2_000)
    ids = family.ids("<|im_start|>system\nWatch.<|im_end|>\n")
    random = np.random.default_rng(0)
    side, start = model.facts.height, 0.0
    pixels: list[Tensor] = []
    grids, sounds = [], []
    for number, lengths in enumerate(TURNS):
        heard.clear()
        frames = random.integers(0, 256, (2 * sum(lengths), side, side, 3), dtype=np.uint8)
        done = 0
        for seconds in lengths:
            samples = (0.3 * random.standard_normal(16_000 * seconds)).astype(np.float32)
            raw = RawWindow(start, frames[done : done + 2 * seconds], samples)
            model.fuse([(conversation, one) for one in model.encode([(conversation, raw)])])
            start, done = start + seconds, done + 2 * seconds
        pixels.append(family.pixels(frames))
        grids.append([sum(lengths), 6, 6])
        sounds.append(torch.cat(heard, dim=1))
        opening, closing = family.brackets
        ids += family.ids("<|im_start|>user\n" + opening) + family.media(lengths)
        if number in spoken:
            mel = whisper(_speech(number), third=family.third)
            sounds.append(mel)
            opening, after = family.sound
            count = from_speech(model.model, _speech(number)).asking
            placeholders = [family.thinker.config.audio_token_id] * count
            ids += family.ids(closing + opening) + placeholders + family.ids(after)
            asking = Ask(conversation, options=WHOLE, speech=_speech(number))
        else:
            ids += family.ids(f"{closing}Question {number}?")
            asking = Ask(conversation, f"Question {number}?", WHOLE)
        ids += family.ids("<|im_end|>\n<|im_start|>assistant\n")
        (turn,) = model.guide([asking])
        logits, done_answering = [], False
        while not done_answering:
            done_answering = model.step([turn])[0].done
            logits.append(turn.logits)
        model.commit(turn)
        _compare(family, ids, pixels, grids, sounds, turn.ids, logits)
        ids += turn.ids + family.ids("<|im_end|>\n")


def _compare(
    family: _Family,
    ids: list[int],
    pixels: list[Tensor],
    grids: list[list[int]],
    sounds: list[Tensor],
    answer: list[int],
    logits: list[Tensor],
) -> None:
    """Logits of every answer token so far."""
    longest = max(sound.shape[1] for sound in sounds)
    features = torch.zeros(len(sounds), 128, longest)
    mask = torch.zeros(len(sounds), longest, dtype=torch.long)
    for row, sound in enumerate(sounds):
        features[row, :, : sound.shape[1]], mask[row, : sound.shape[1]] = sound, 1
    whole = torch.tensor([ids + answer])
    with torch.inference_mode():
        theirs = family.thinker(
            input_ids=whole,
            attention_mask=torch.ones_like(whole),
            pixel_values_videos=torch.cat(pixels),
            video_grid_thw=torch.tensor(grids),
            video_second_per_grid=torch.ones(len(grids)),
            input_features=features,
            feature_attention_mask=mask,
            use_audio_in_video=True,
        ).logits[0, len(ids) - 1 :]
    seen = torch.stack(logits)
    torch.testing.assert_close(seen, theirs[: len(seen)], atol=1e-4, rtol=1e-4)
