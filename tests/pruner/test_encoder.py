"""Windows encoded as a stream flows: equal to the whole clip, and not encoded again where a picture stands still."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import WhisperFeatureExtractor

from pruner import InputError, LiveModel, LiveOptions, RawWindow
from pruner.encoder import StreamState, WindowEncoder
from pruner.families.frames import patchify
from pruner.families.mel import LEFT_CONTEXT, SAMPLE_RATE
from pruner.families.omni import OmniModel
from pruner.families.qwen2_5_omni import part
from pruner.stillness import change
from pruner.windows import EncodedWindow

SECONDS = 6
SIZE = 84
ONE_FRAME = 0.01
"""Relative error of a window's audio tokens for the one mel frame of 200 that reads past the window's end."""


def _sound(seconds: int = SECONDS) -> np.ndarray:
    rng = np.random.default_rng(5)
    time = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
    sweep = 0.3 * np.sin(2 * np.pi * (200 + 60 * time) * time)
    return (sweep + 0.03 * rng.standard_normal(time.size)).astype(np.float32)


def _pictures(seconds: int, *, seed: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (2 * seconds, SIZE, SIZE, 3), dtype=np.uint8)


def _cut(frames: np.ndarray | None, sound: np.ndarray | None, length: int = 2) -> list[RawWindow]:
    seconds = len(sound) // SAMPLE_RATE if sound is not None else 0 if frames is None else len(frames) // 2
    return [
        RawWindow(
            float(start),
            None if frames is None else frames[2 * start : 2 * (start + length)],
            None if sound is None else sound[SAMPLE_RATE * start : SAMPLE_RATE * (start + length)],
        )
        for start in range(0, seconds, length)
    ]


def _flow(
    encoder: WindowEncoder, windows: Sequence[RawWindow], state: StreamState | None = None
) -> list[EncodedWindow]:
    carried = StreamState() if state is None else state
    return [encoder.encode([(carried, window)])[0] for window in windows]


def _tokens(window: EncodedWindow) -> tuple[Tensor, Tensor]:
    assert window.video is not None
    assert window.audio is not None
    return window.video, window.audio


def _heard(window: EncodedWindow) -> Tensor:
    assert window.audio is not None
    return window.audio


def _seen(window: EncodedWindow) -> Tensor:
    assert window.video is not None
    return window.video


@pytest.fixture(scope="module")
def omni(tiny_model: LiveModel) -> OmniModel:
    return tiny_model.model


# Against transformers' encoders over the whole clip.


def test_a_flowing_stream_is_encoded_as_the_whole_clip_is(omni: OmniModel) -> None:
    """But for one mel frame of a window, the last, which reads 40 samples that are still to come."""
    sound, frames = _sound(), _pictures(SECONDS)
    extractor = WhisperFeatureExtractor(feature_size=128)
    mel = extractor(sound, sampling_rate=SAMPLE_RATE, padding="do_not_pad", return_tensors="pt")["input_features"][0]
    lengths = torch.tensor([mel.shape[1]])
    audio: Any = part(omni.thinker, "audio_tower")(
        mel.double(), feature_lens=lengths, aftercnn_lens=(lengths - 1) // 2 + 1
    )
    grid = torch.tensor([[SECONDS, SIZE // 14, SIZE // 14]])
    patches = patchify(torch.from_numpy(frames)[None], dtype=torch.float64)
    video: Any = part(omni.thinker, "visual")(patches, grid_thw=grid)
    state = StreamState(loudest=mel.max() * 4 - 4)  # as loud as the clip gets, so that both clip at one floor
    windows = _flow(WindowEncoder(omni), _cut(frames, sound), state)
    seen = torch.cat([_seen(window) for window in windows]).flatten(0, 1)
    torch.testing.assert_close(seen, video.pooler_output, atol=2e-5, rtol=0)  # transformers' norms are fp32
    errors = [
        float((_heard(window) - whole).norm() / whole.norm())
        for window, whole in zip(windows, audio.last_hidden_state.split(50), strict=True)
    ]
    assert max(errors[:-1]) < ONE_FRAME
    assert errors[-1] < 1e-4, "the clip's own end is reflected by both"
    alone = [WindowEncoder(omni).encode([(StreamState(loudest=state.loudest), one)])[0] for one in _cut(None, sound)]
    whole = audio.last_hidden_state.split(50)[1]
    assert float((_heard(alone[1]) - whole).norm() / whole.norm()) > 2 * errors[1], "what carrying context is for"


@pytest.mark.parametrize("heard", [20_800, 16_000 + 120, 16_000])
def test_a_window_that_was_cut_short_is_continued_where_the_sound_ended(omni: OmniModel, heard: int) -> None:
    """Silence that completes a second is no sound: the next window's first frame reads what was really before it."""
    sound, encoder = _sound(), WindowEncoder(omni)
    seconds = -(-heard // SAMPLE_RATE)
    padding = seconds * SAMPLE_RATE - heard
    first = RawWindow(0.0, None, np.pad(sound[:heard], (0, padding)), padding=padding)
    second = RawWindow(heard / SAMPLE_RATE, None, sound[heard : heard + 2 * SAMPLE_RATE])
    state = StreamState()
    found = _flow(encoder, [first, second], state)[1]
    (before,) = _flow(encoder, [first], mine := StreamState())
    mine.left = torch.from_numpy(sound[heard - LEFT_CONTEXT : heard])
    (expected,) = _flow(encoder, [second], mine)
    assert torch.equal(_heard(found), _heard(expected))
    if padding:
        (unaware,) = _flow(encoder, [second], StreamState(torch.zeros(LEFT_CONTEXT), state.loudest))
        assert not torch.equal(_heard(found), _heard(unaware))
    assert before.seconds == seconds


def test_context_of_a_window_with_hardly_any_sound(omni: OmniModel) -> None:
    sound, encoder, state = _sound(), WindowEncoder(omni), StreamState()
    start = RawWindow(0.0, None, sound[:SAMPLE_RATE])
    short = np.pad(sound[SAMPLE_RATE : SAMPLE_RATE + 90], (0, SAMPLE_RATE - 90))
    _flow(encoder, [start, RawWindow(1.0, None, short, padding=SAMPLE_RATE - 90)], state)
    assert state.left is not None
    np.testing.assert_array_equal(state.left, sound[SAMPLE_RATE + 90 - LEFT_CONTEXT : SAMPLE_RATE + 90])
    lone = StreamState()
    _flow(encoder, [RawWindow(0.0, None, short, padding=SAMPLE_RATE - 90)], lone)
    assert lone.left is None, "too little was heard: the next window begins as a stream does"


def test_padding_beyond_the_samples_is_refused() -> None:
    window = RawWindow(0.0, None, _sound(1), padding=SAMPLE_RATE + 1)
    with pytest.raises(InputError, match="padding"):
        window.check(2)


# Batches and fixed shapes.


def test_windows_of_all_lengths_and_streams_share_a_batch(omni: OmniModel) -> None:
    encoder = WindowEncoder(omni)
    windows = [*_cut(_pictures(2), _sound(2)), *_cut(_pictures(1, seed=8), _sound(1)), *_cut(None, _sound(2))]
    together = encoder.encode([(StreamState(), window) for window in windows])
    for window, one in zip(windows, together, strict=True):
        (alone,) = encoder.encode([(StreamState(), window)])
        torch.testing.assert_close(_heard(one), _heard(alone), atol=1e-12, rtol=0)
        assert (one.video is None) == (window.frames is None)
        if one.video is not None:
            torch.testing.assert_close(one.video, _seen(alone), atol=1e-12, rtol=0)


def test_fixed_shapes_give_the_very_same_tokens(load_tiny: Callable[..., LiveModel]) -> None:
    """What a GPU records as a graph, run as it is."""
    fixed, plain = load_tiny(graphs="on"), load_tiny(graphs="off")
    mine, other = fixed.open(budget=600), plain.open(budget=600)
    for window in [*_cut(_pictures(6), _sound()), *_cut(_pictures(2), _sound(2), length=1)]:
        (one,), (two,) = fixed.encode([(mine, window)]), plain.encode([(other, window)])
        for got, expected in zip(_tokens(one), _tokens(two), strict=True):
            assert torch.equal(got, expected)


# Pictures that stand still.


class _Watched:
    """A vision tower that counts the seconds it encodes."""

    def __init__(self, tower: Any) -> None:
        self._tower, self.seconds = tower, 0
        self.rows, self.height, self.width = tower.rows, tower.height, tower.width

    def __call__(self, frames: Tensor) -> Tensor:
        self.seconds += len(frames) * frames.shape[1] // 2
        found: Tensor = self._tower(frames)
        return found


@pytest.fixture
def tower(omni: OmniModel, monkeypatch: pytest.MonkeyPatch) -> _Watched:
    watched = _Watched(omni.vision)
    monkeypatch.setattr(omni, "vision", watched)
    return watched


def _still(seconds: int, *, noise: float = 0.0) -> np.ndarray:
    """A camera on a stand: one picture, and its sensor's noise."""
    rng = np.random.default_rng(9)
    one = rng.integers(60, 190, (SIZE // 12, SIZE // 12, 3)).repeat(12, 0).repeat(12, 1)
    grain = noise * rng.standard_normal((2 * seconds, *one.shape))
    return np.clip(np.rint(one + grain), 0, 255).astype(np.uint8)


def test_equal_seconds_are_encoded_once_and_lose_nothing(omni: OmniModel, tower: _Watched) -> None:
    frames = _still(6)
    frames[8:] = _pictures(2)
    windows = _flow(WindowEncoder(omni, still_change=0.0), _cut(frames, _sound()))
    assert tower.seconds == 3
    assert [window.shared for window in windows] == [1, 2, 0]
    for mine, other in zip(windows, _flow(WindowEncoder(omni), _cut(frames, _sound())), strict=True):
        torch.testing.assert_close(_seen(mine), _seen(other), atol=1e-12, rtol=0)
        assert torch.equal(_heard(mine), _heard(other)), "sound is always encoded"


def test_nothing_is_shared_unless_it_is_wanted(omni: OmniModel, tower: _Watched) -> None:
    state = StreamState()
    windows = _flow(WindowEncoder(omni), _cut(_still(6), None), state)
    assert (tower.seconds, sum(window.shared for window in windows)) == (6, 0)
    assert state.shown is None


def test_a_noisy_sensor_needs_a_threshold(omni: OmniModel, tower: _Watched) -> None:
    frames = _still(6, noise=4.0)
    exact = _flow(WindowEncoder(omni, still_change=0.0), _cut(frames, None))
    assert sum(window.shared for window in exact) == 0
    tolerant = _flow(WindowEncoder(omni, still_change=6.0), _cut(frames, None))
    assert [window.shared for window in tolerant] == [1, 2, 2]
    assert tower.seconds == 6 + 1
    assert torch.equal(_seen(tolerant[2])[1], _seen(exact[0])[0]), "all take the first second's tokens"


def test_a_small_object_in_one_frame_is_noticed_in_the_noise(omni: OmniModel, tower: _Watched) -> None:
    frames = _still(4, noise=4.0)
    frames[5, 30:42, 44:56] = (200, 30, 30)  # a sixth of a token's area
    windows = _flow(WindowEncoder(omni, still_change=8.0), _cut(frames, None))
    assert [window.shared for window in windows] == [1, 0], "it comes, and it goes"
    assert tower.seconds == 3


def test_what_changes_slowly_is_noticed_at_last(omni: OmniModel, tower: _Watched) -> None:
    """A second is compared with the last one encoded, not with the one before."""
    ramp = np.arange(20, dtype=np.uint8).repeat(2)[:, None, None, None]
    windows = _flow(WindowEncoder(omni, still_change=4.0), _cut(_still(20) + ramp, None))
    assert tower.seconds == 4
    assert sum(window.shared for window in windows) == 16


def test_streams_of_a_batch_share_nothing_with_each_other(omni: OmniModel, tower: _Watched) -> None:
    encoder, states = WindowEncoder(omni, still_change=0.0), (StreamState(), StreamState())
    moving, still = _pictures(4), _still(4)
    for one, other in zip(_cut(moving, None), _cut(still, None), strict=True):
        found = encoder.encode([(states[0], one), (states[1], other)])
    assert [window.shared for window in found] == [0, 2]
    assert tower.seconds == 4 + 1
    (expected,) = WindowEncoder(omni).encode([(StreamState(), _cut(still, None)[1])])
    torch.testing.assert_close(_seen(found[1]), _seen(expected), atol=1e-12, rtol=0)


def test_a_stream_may_pause_and_change_its_shape(omni: OmniModel, tower: _Watched) -> None:
    """Tokens depend on what is seen alone, so that what was shown before a gap still counts after it."""
    encoder, still = WindowEncoder(omni, still_change=0.0), _cut(_still(2), _sound(2))[0]
    deaf = RawWindow(2.0, None, _sound(2))
    windows = _flow(encoder, [still, deaf, replace(still, start=9.0, new_segment=True)])
    assert [window.shared for window in windows] == [1, 0, 2]
    large = replace(still, frames=np.zeros((4, 2 * SIZE, SIZE, 3), np.uint8))
    assert _flow(encoder, [still, large])[1].shared == 1
    assert tower.seconds == 1 + 2


def test_features_for_later_layers_are_shared_too(tiny3_directory: Path) -> None:
    model = LiveModel.load(tiny3_directory, dtype=torch.float64, options=LiveOptions(still_change=0.0))
    frame = np.random.default_rng(3).integers(0, 256, (1, 96, 96, 3), dtype=np.uint8)
    window = RawWindow(0.0, frame.repeat(4, axis=0), None)
    conversation = model.open(budget=600)
    (first,), (second,) = (model.encode([(conversation, window)]) for _ in range(2))
    assert (first.shared, second.shared) == (1, 2)
    assert first.deep is not None
    assert second.deep is not None
    assert torch.equal(first.deep, second.deep)
    assert not torch.equal(_seen(first), first.deep[..., :32])


def test_a_session_says_what_it_keeps_of_a_still_picture(load_tiny: Callable[..., LiveModel]) -> None:
    off, on = load_tiny(), load_tiny(still_change=2.0)
    conversation = on.open(budget=600)
    on.encode([(conversation, _cut(_still(2), None)[0])])
    shown = conversation.stream.shown
    assert shown is not None
    assert on.session_bytes(600) - off.session_bytes(600) == shown.tokens.nbytes
    assert shown.tokens.untyped_storage().nbytes() == shown.tokens.nbytes, "no batch is kept alive"
    with pytest.raises(InputError, match="still_change"):
        LiveOptions(still_change=256)


def test_change_is_the_mean_of_the_block_that_changed_most() -> None:
    one = torch.full((2, 28, 56, 3), 100, dtype=torch.uint8)
    other = one.clone()
    assert change(one, other, 7) == 0
    other[1, 7:14, 49:, 2] = 90
    assert change(one, other, 7) == change(other, one, 7) == 10
    other[0, :7, :7, 0] = torch.tensor([60, 140], dtype=torch.uint8).repeat(25)[:49].view(7, 7)
    assert change(one, other, 7) == 10, "noise averages out"
    black, white = torch.zeros_like(one), torch.full_like(one, 255)
    assert change(black, white, 7) == 255
