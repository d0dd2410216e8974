"""Whisper's log-mel spectrogram, computed window by window as a stream flows.

Whisper (and transformers' `WhisperFeatureExtractor`) sees a whole recording at once; a stream does not have one. Two
things therefore differ:

* *Edges.* The STFT of 400 samples is centred on every 160th sample, so it reads 200 samples past both ends. The left
  end is carried over from the previous window, which makes it exact. The right end is reflected, as Whisper does at the
  end of a recording; only the last frame of a window (of 200) reads the 40 samples concerned. All other frames equal
  those of the whole recording, given the same floor.
* *Floor.* Whisper clips at 8 decades below the loudest value of the whole recording. A stream cannot know what is still
  to come, so the floor is 8 decades below the loudest value *so far*: what Whisper would do with the recording up to
  now. It is lower than the recording's until the loudest has been heard, and equal from then on.

`python -m benchmarks.encoding hearing` compares these rules with others. On nano-omni the audio tokens of streams of
16 s are 0.75 % (relative error) from those of the whole recordings, nearly all of it the floor of the first windows:
with the recording's floor it is 0.05 %, which waiting 12.5 ms for the right end would save. Without what is carried
over it is 2.1 %, with a floor for each window 2.2 %. No rule lost an answer.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

__all__ = ["HOP", "LEFT_CONTEXT", "SAMPLE_RATE", "log_mel"]

SAMPLE_RATE = 16_000
"""Hz. The only rate the encoders know."""

HOP = 160
"""Samples from one mel frame to the next: 100 frames a second."""

LEFT_CONTEXT = 200
"""Samples before a window that its first frame reads."""

_FFT = 400
_DYNAMIC_RANGE = 8.0  # decades
_SMALLEST_POWER = 1e-10


def _slaney_mel(frequency: np.ndarray) -> np.ndarray:
    """Hz to mel on Slaney's scale: linear below 1 kHz, logarithmic above."""
    linear = 3.0 * frequency / 200.0
    logarithmic = 15.0 + 27.0 / np.log(6.4) * np.log(np.maximum(frequency, 1e-6) / 1000.0)
    return np.where(frequency < 1000.0, linear, logarithmic)


def _slaney_frequency(mel: np.ndarray) -> np.ndarray:
    """Inverse of `_slaney_mel`."""
    return np.where(mel < 15.0, 200.0 * mel / 3.0, 1000.0 * np.exp(np.log(6.4) / 27.0 * (mel - 15.0)))


@lru_cache(maxsize=8)
def _filters(bins: int, device: torch.device) -> Tensor:
    """Triangular filters of equal area over 0 to 8 kHz, float32 [bins, 201]."""
    top = _slaney_mel(np.array(SAMPLE_RATE / 2))
    edges = _slaney_frequency(np.linspace(0.0, float(top), bins + 2))
    lines = np.linspace(0.0, SAMPLE_RATE / 2, _FFT // 2 + 1)
    rising = (lines[None, :] - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - lines[None, :]) / np.diff(edges)[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    area = 2.0 / (edges[2:] - edges[:-2])
    return torch.from_numpy((triangles * area[:, None]).astype(np.float32)).to(device)


@lru_cache(maxsize=8)
def _hann(device: torch.device) -> Tensor:
    return torch.hann_window(_FFT, device=device)


def log_mel(
    samples: Tensor,
    left: Tensor | None = None,
    running_max: Tensor | None = None,
    *,
    bins: int = 128,
) -> tuple[Tensor, Tensor]:
    """Log-mel features of one window of each of `B` streams.

    Args:
        samples: float32 [B, N] mono at 16 kHz in [-1, 1]; N a multiple of 160, at least 400.
        left: float32 [B, 200], the samples just before; None at the start of a stream, where they are reflected.
        running_max: float32 [B], log10 of the loudest mel power so far; None at the start of a stream.
        bins: mel bands.

    Returns:
        float32 [B, bins, N / 160] features as Whisper scales them, and the updated `running_max` [B].
    """
    if samples.ndim != 2 or samples.shape[1] % HOP or samples.shape[1] < _FFT:
        raise ValueError(f"samples must be [streams, multiple of {HOP}, at least {_FFT}], got {tuple(samples.shape)}")
    right = samples[:, -LEFT_CONTEXT - 1 : -1].flip(1)
    if left is None:
        left = samples[:, 1 : LEFT_CONTEXT + 1].flip(1)
    padded = torch.cat((left, samples, right), dim=1)
    spectrum = torch.stft(padded, _FFT, HOP, window=_hann(samples.device), center=False, return_complex=True)
    power = spectrum[..., :-1].abs().square().contiguous()
    log = torch.matmul(_filters(bins, samples.device), power).clamp_min(_SMALLEST_POWER).log10()
    loudest = log.amax(dim=(1, 2))
    if running_max is not None:
        loudest = torch.maximum(loudest, running_max)
    floored = torch.maximum(log, (loudest - _DYNAMIC_RANGE)[:, None, None])
    return (floored + 4.0) / 4.0, loudest
