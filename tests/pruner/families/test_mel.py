"""The streaming log-mel against Whisper's own extractor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from pruner.families.mel import HOP, LEFT_CONTEXT, log_mel

WINDOW = 32_000


def _recording(seconds: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    time = np.arange(seconds * 16_000) / 16_000
    sweep = 0.3 * np.sin(2 * np.pi * (300 + 40 * time) * time)
    return (sweep + 0.05 * rng.standard_normal(time.size)).astype(np.float32)


def _whisper(samples: np.ndarray) -> torch.Tensor:
    extractor = WhisperFeatureExtractor(feature_size=128)
    features = extractor(samples, sampling_rate=16_000, padding="do_not_pad", return_tensors="pt")
    return features["input_features"][0]


def test_one_whole_recording_equals_whisper() -> None:
    samples = _recording(4)
    mel, loudest = log_mel(torch.from_numpy(samples)[None])
    reference = _whisper(samples)
    torch.testing.assert_close(mel[0], reference, atol=2e-5, rtol=0)
    assert float(loudest) == pytest.approx(float(reference.max()) * 4 - 4, abs=1e-4)


def test_windows_carry_context_so_only_the_last_frame_differs() -> None:
    samples = torch.from_numpy(_recording(6))[None]
    reference = _whisper(samples[0].numpy())
    left, loudest = None, (reference.max() * 4 - 4)[None]  # as loud as the recording gets, so that floors agree
    for start in range(0, samples.shape[1], WINDOW):
        window = samples[:, start : start + WINDOW]
        mel, loudest = log_mel(window, left, loudest)
        left = window[:, -LEFT_CONTEXT:]
        first = start // HOP
        torch.testing.assert_close(mel[0, :, :-1], reference[:, first : first + 199], atol=2e-5, rtol=0)


def test_floor_follows_the_loudest_so_far_and_never_falls() -> None:
    loud, faint = torch.from_numpy(_recording(2))[None], torch.zeros(1, WINDOW)
    _, loudest = log_mel(loud)
    quiet, after = log_mel(faint, loud[:, -LEFT_CONTEXT:], loudest)
    assert torch.equal(after, loudest)
    torch.testing.assert_close(quiet[0, :, 5:], ((loudest - 8 + 4) / 4).expand(128, 195))
    alone, _ = log_mel(faint)
    assert float(alone.max()) == pytest.approx((-10 + 4) / 4)


def test_streams_of_a_batch_do_not_touch_each_other() -> None:
    pair = torch.stack([torch.from_numpy(_recording(2)), torch.zeros(WINDOW)])
    mel, loudest = log_mel(pair)
    torch.testing.assert_close(mel[:1], log_mel(pair[:1])[0])
    assert loudest[1] == -10


def test_a_window_that_is_no_whole_number_of_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 160"):
        log_mel(torch.zeros(1, 1601))
