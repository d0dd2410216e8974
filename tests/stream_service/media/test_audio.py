"""Any sound becomes 16 kHz mono without losing or moving a sample."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from av import AudioFrame

from stream_service.media.audio import MonoResampler
from stream_service.types import AudioChunk


def frame(samples: np.ndarray, rate: int, *, stereo: bool) -> AudioFrame:
    interleaved = np.repeat(samples, 2) if stereo else samples
    made = AudioFrame.from_ndarray(interleaved[None].astype(np.int16), "s16", "stereo" if stereo else "mono")
    made.sample_rate, made.time_base, made.pts = rate, Fraction(1, rate), 12_345
    return made


def convert(samples: np.ndarray, rate: int, *, stereo: bool = True, piece: float = 0.02) -> list[AudioChunk]:
    resampler = MonoResampler()
    size = round(rate * piece)
    out = [resampler.push(frame(samples[i : i + size], rate, stereo=stereo), 7.0) for i in range(0, len(samples), size)]
    return [chunk for chunk in [*out, resampler.restart()] if chunk is not None]


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_chunks_follow_each_other_and_none_is_lost(rate: int) -> None:
    chunks = convert(np.zeros(rate), rate)
    assert chunks[0].at == 7.0
    assert all(a.end == pytest.approx(b.at, abs=1e-9) for a, b in pairwise(chunks))
    assert sum(len(c.samples) for c in chunks) == 16_000


def test_an_event_stays_where_it_was() -> None:
    samples = np.zeros(48_000)
    samples[24_000] = 30_000
    heard = np.concatenate([c.samples for c in convert(samples, 48_000)])
    assert np.argmax(heard) == 8_000


@pytest.mark.parametrize("stereo", [True, False])
def test_the_level_stays(stereo: bool) -> None:
    heard = np.concatenate([c.samples for c in convert(np.full(48_000, 16_384), 48_000, stereo=stereo)])
    assert heard.dtype == np.float32
    assert heard[4_000:12_000] == pytest.approx(0.5, abs=1e-3)


def test_a_tone_survives_and_what_16_khz_cannot_hold_is_filtered_out() -> None:
    t = np.arange(48_000) / 48_000
    low = np.concatenate([c.samples for c in convert(16_000 * np.sin(2 * np.pi * 1_000 * t), 48_000)])
    high = np.concatenate([c.samples for c in convert(16_000 * np.sin(2 * np.pi * 12_000 * t), 48_000)])
    assert np.std(low[2_000:-2_000]) == pytest.approx(16_000 / 32_768 / 2**0.5, rel=0.02)
    assert np.std(high[2_000:-2_000]) < 0.01


def test_nothing_is_left_after_a_restart() -> None:
    resampler = MonoResampler()
    assert resampler.restart() is None
    resampler.push(frame(np.zeros(960), 48_000, stereo=True), 1.0)
    resampler.restart()
    chunk = resampler.push(frame(np.zeros(960), 48_000, stereo=True), 5.0)
    assert chunk is not None
    assert chunk.at == 5.0
