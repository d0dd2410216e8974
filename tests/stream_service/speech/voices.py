"""Synthetic voices over the way that sound takes to the service: 48 kHz, Opus and back, 16 kHz."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np

from stream_service.types import SAMPLE_RATE, Samples

OPUS_RATE, PACKET = 48_000, 960


def speak(voice: str, text: str) -> Samples:
    """``text`` by ``flite:NAME`` or ``espeak:NAME``; float32 at 16 kHz with a peak of 0.5, as a microphone gives it."""
    engine, _, name = voice.partition(":")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        flite = ["flite", "-voice", name, "-t", text, "-o", str(path)]
        espeak = ["espeak-ng", "-v", name, "-s", "150", "-w", str(path), text]
        subprocess.run(flite if engine == "flite" else espeak, check=True)
        with av.open(str(path)) as container:
            frames = [frame for frame in container.decode(audio=0) if isinstance(frame, av.AudioFrame)]
    samples = resampled(frames, SAMPLE_RATE)
    levelled: Samples = (samples * (0.5 / np.abs(samples).max())).astype(np.float32)
    return levelled


def in_a_room(samples: Samples, *, before: float, after: float, seed: int = 0) -> Samples:
    """Speech with quiet noise around and under it."""
    around = [np.zeros(round(s * SAMPLE_RATE), dtype=np.float32) for s in (before, after)]
    whole = np.concatenate([around[0], samples, around[1]])
    hiss = np.random.default_rng(seed).normal(0, 0.002, len(whole))
    return (whole + hiss).astype(np.float32)


def through_opus(samples: Samples) -> Samples:
    """What arrives when float32 16 kHz samples are sent as Opus at 32 kbit/s and converted back."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = OPUS_RATE, "mono", "s16"
    encoder.bit_rate, encoder.time_base = 32_000, Fraction(1, OPUS_RATE)
    encoder.options = {"application": "voip"}
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout, decoder.format = OPUS_RATE, "stereo", "s16"
    sent = (resampled([frame_of(samples, SAMPLE_RATE)], OPUS_RATE).clip(-1, 1) * 32_767).astype(np.int16)
    received = []
    for first in range(0, len(sent) - PACKET + 1, PACKET):
        frame = av.AudioFrame.from_ndarray(sent[None, first : first + PACKET], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = OPUS_RATE, first, Fraction(1, OPUS_RATE)
        received += [out for packet in encoder.encode(frame) for out in decoder.decode(packet)]
    return resampled(received, SAMPLE_RATE)


def frame_of(samples: Samples, rate: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
    frame.sample_rate = rate
    return frame


def resampled(frames: list[av.AudioFrame], rate: int) -> Samples:
    converter = av.AudioResampler(format="flt", layout="mono", rate=rate, options={"rematrix_maxval": "1.0"})
    for frame in frames:
        frame.pts = None
    parts = [out.to_ndarray()[0] for frame in [*frames, None] for out in converter.resample(frame)]
    return np.concatenate(parts).astype(np.float32)


def word_errors(heard: list[str], said: list[str]) -> int:
    """Least number of words inserted, deleted or replaced."""
    row = list(range(len(said) + 1))
    for i, word in enumerate(heard, start=1):
        above, row = row, [i]
        for j, other in enumerate(said, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (word != other)))
    return row[-1]
