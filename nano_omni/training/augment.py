"""What a camera, a microphone and a network do to a stream, simulated on the device for a whole batch at once.

Pictures: exposure, gamma, sensor noise, letterboxing, frames that freeze, and a transform codec at low bitrate (8 x 8
cosine blocks, coarse quantisation, subsampled chroma, lost resolution). Sound: speech over the scene, gain, noise,
clipping, band limits, signal-dependent coding noise, lost packets, an echo. Every effect hits a share of the streams
only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

SIDE = 168
RATE = 16_000
_STREAMS_AT_ONCE = 8  # bounds the memory of the float copies
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Damage:
    """Chances and strengths of every effect; evaluation rows set one of them to 1."""

    light: float = 0.35
    brightness: float = 0.35  # most that is added or taken, of full scale
    camera_noise: float = 0.25
    box: float = 0.25
    freeze: float = 0.15
    codec: float = 0.3
    speech: float = 0.4
    gain: float = 0.3
    noise: float = 0.45
    loudest_noise: float = 0.05
    clipping: float = 0.2
    band: float = 0.3
    coding_noise: float = 0.3
    packet_loss: float = 0.08
    echo: float = 0.08


STRENGTHS = ("brightness", "loudest_noise")
CLEAN = Damage(**{name: 0.0 for name in Damage.__dataclass_fields__ if name not in STRENGTHS})


def _chosen(count: int, share: float, device: torch.device) -> Tensor:
    """Indices of about `share` of `count` streams, always the same number of them so that shapes stay constant."""
    return torch.randperm(count, device=device)[: round(count * share)]


def _uniform(shape: tuple[int, ...], low: float, high: float, device: torch.device) -> Tensor:
    return torch.empty(shape, device=device).uniform_(low, high)


def damage_video(frames: Tensor, damage: Damage) -> Tensor:
    """Damage uint8 [B, F, 168, 168, 3]; returns a new tensor of that shape and type."""
    count, device = frames.shape[0], frames.device
    frames = _freeze(frames, _chosen(count, damage.freeze, device))
    light = partial(_light, most=damage.brightness)
    effects = (damage.box, _box), (damage.codec, _codec), (damage.camera_noise, _camera_noise), (damage.light, light)
    for share, effect in effects:
        some = _chosen(count, share, device)
        for part in torch.split(some, _STREAMS_AT_ONCE) if some.numel() else ():
            frames[part] = _bytes(effect(_planes(frames[part]), len(part)), frames[part].shape)
    return frames


def _planes(frames: Tensor) -> Tensor:
    """uint8 [B, F, H, W, 3] to float [B * F, 3, H, W] in [0, 1]."""
    return frames.flatten(0, 1).permute(0, 3, 1, 2).float().div_(255)


def _bytes(planes: Tensor, shape: torch.Size) -> Tensor:
    return planes.clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).reshape(shape)


def _each(values: Tensor, frames: int) -> Tensor:
    """[B] to [B * F, 1, 1, 1]."""
    return values.repeat_interleave(frames).view(-1, 1, 1, 1)


def _freeze(frames: Tensor, some: Tensor) -> Tensor:
    """Repeat frames: every third one or so is replaced by the one before."""
    count, length = frames.shape[:2]
    index = torch.arange(length, device=frames.device).repeat(count, 1)
    held = torch.zeros((count, length), dtype=torch.bool, device=frames.device)
    held[some] = torch.rand((len(some), length), device=frames.device) < 0.25
    held[:, 0] = False
    index = torch.where(held, 0, index).cummax(1).values
    return frames[torch.arange(count, device=frames.device)[:, None], index]


def _box(planes: Tensor, streams: int) -> Tensor:
    """Shrink the scene into a frame with black bars, mostly to 3/4 (a square scene in a letterboxed 4:3 picture)."""
    device, frames = planes.device, len(planes) // streams
    scale = torch.where(
        torch.rand(streams, device=device) < 0.6,
        torch.full((), 0.75, device=device),
        _uniform((streams,), 0.6, 1.0, device),
    )
    theta = torch.zeros((streams, 2, 3), device=device)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / scale
    free = (1 - scale) / scale
    centred = torch.rand(streams, device=device) < 0.7
    theta[:, :, 2] = _uniform((streams, 2), -1, 1, device) * free[:, None] * ~centred[:, None]
    grid = functional.affine_grid(theta, [streams, 1, *planes.shape[-2:]], align_corners=False)
    return functional.grid_sample(planes, grid.repeat_interleave(frames, 0), align_corners=False)


def _codec(planes: Tensor, streams: int) -> Tensor:
    """Lose resolution, subsample chroma, quantise cosine blocks of luma and chroma."""
    device, frames = planes.device, len(planes) // streams
    side = int(torch.randint(SIDE * 2 // 5, SIDE + 1, ()))
    if side < SIDE * 0.9:
        small = functional.interpolate(planes, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
        planes = functional.interpolate(small, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    luma = sum(weight * planes[:, i] for i, weight in enumerate(_LUMA))
    assert isinstance(luma, Tensor)
    chroma = torch.stack([planes[:, 2] - luma, planes[:, 0] - luma], 1)
    coarse = functional.avg_pool2d(chroma, 4)
    step = torch.exp(_uniform((streams,), math.log(0.01), math.log(0.2), device))
    luma = _quantise(luma[:, None], _each(step, frames), SIDE // 8)
    chroma = functional.interpolate(
        coarse + _each(step, frames) * 0.15 * torch.randn_like(coarse), size=(SIDE, SIDE), mode="bilinear"
    )
    blue, red = chroma[:, :1] + luma, chroma[:, 1:] + luma
    green = (luma - _LUMA[0] * red - _LUMA[2] * blue) / _LUMA[1]
    return torch.cat([red, green, blue], 1)


def _quantise(plane: Tensor, step: Tensor, blocks: int) -> Tensor:
    """Quantise 8 x 8 cosine transforms of [N, 1, H, W]; steps grow with frequency."""
    index = torch.arange(8, device=plane.device, dtype=plane.dtype)
    basis = torch.cos((2 * index[None, :] + 1) * index[:, None] * math.pi / 16) * math.sqrt(2 / 8)
    basis[0] *= math.sqrt(0.5)
    tiles = plane.view(-1, blocks, 8, blocks, 8).transpose(2, 3)
    coefficients = basis @ tiles @ basis.T
    widths = step.view(-1, 1, 1, 1, 1) * (1 + 0.7 * (index[:, None] + index[None, :]))
    coarse = (coefficients / widths).round() * widths
    return (basis.T @ coarse @ basis).transpose(2, 3).reshape(plane.shape)


def _camera_noise(planes: Tensor, streams: int) -> Tensor:
    level = _each(_uniform((streams,), 0.005, 0.08, planes.device), len(planes) // streams)
    return planes + level * torch.randn_like(planes)


def _light(planes: Tensor, streams: int, most: float) -> Tensor:
    """Brightness, contrast and gamma, the first drifting over the stream."""
    device, frames = planes.device, len(planes) // streams
    offset = _uniform((streams, 1), -most, most, device)
    ramp = torch.linspace(0, 1, frames, device=device) * _uniform((streams, 1), -0.1, 0.1, device)
    contrast = _each(_uniform((streams,), 0.75, 1.25, device), frames)
    gamma = _each(torch.exp(_uniform((streams,), -0.35, 0.35, device)), frames)
    added = (offset + ramp).clamp(-most, most).flatten().view(-1, 1, 1, 1)
    return (planes.clamp(0, 1) ** gamma - 0.5) * contrast + 0.5 + added


@dataclass(frozen=True)
class SpeechBank:
    """Utterances of synthetic voices: int16 [K, samples] at 16 kHz, zero-padded."""

    utterances: Tensor

    def draw(self, count: int) -> Tensor:
        """Float32 [count, samples] random utterances with peaks of 1."""
        picked = self.utterances[torch.randint(len(self.utterances), (count,), device=self.utterances.device)].float()
        return picked / picked.abs().amax(1, keepdim=True).clamp_min(1)


def damage_audio(samples: Tensor, quietest: Tensor, damage: Damage, bank: SpeechBank | None) -> Tensor:
    """Damage float32 [B, N] in [-1, 1]; returns a new tensor.

    `quietest` [B] is the peak level of each stream's faintest event: added noise stays below half of it, so that
    questions remain answerable.
    """
    count, device = len(samples), samples.device
    samples = samples.clone()
    if bank is not None:
        _add_speech(samples, _chosen(count, damage.speech, device), bank)
    if (some := _chosen(count, damage.echo, device)).numel():
        late = int(torch.randint(RATE // 50, RATE // 5, ()))
        samples[some, late:] += 0.35 * samples[some, :-late]
    if (some := _chosen(count, damage.clipping, device)).numel():
        samples[some] = (samples[some] * _uniform((len(some), 1), 2.0, 8.0, device)).clamp(-1, 1)
        samples[some] *= _uniform((len(some), 1), 0.5, 1.0, device)
    if (some := _chosen(count, damage.gain, device)).numel():
        samples[some] *= torch.exp(_uniform((len(some), 1), math.log(0.4), math.log(1.6), device))
    if (some := _chosen(count, damage.coding_noise, device)).numel():
        samples[some] *= 1 + _uniform((len(some), 1), 0.02, 0.25, device) * torch.randn_like(samples[some])
    if (some := _chosen(count, damage.noise, device)).numel():
        samples[some] += _hiss(samples[some], quietest[some, None], damage.loudest_noise)
    if (some := _chosen(count, damage.band, device)).numel():
        samples[some] = _band_limit(samples[some])
    if (some := _chosen(count, damage.packet_loss, device)).numel():
        lost = torch.rand((len(some), samples.shape[1] // 320), device=device) < 0.02
        samples[some] *= ~lost.repeat_interleave(320, 1)
    return samples.clamp_(-1, 1)


def _add_speech(samples: Tensor, some: Tensor, bank: SpeechBank) -> None:
    """Let someone talk over the chosen streams, about every fourth window and often at the very end."""
    length, width = samples.shape[1], bank.utterances.shape[1]
    for _ in range(max(1, length // (8 * RATE)) if some.numel() else 0):
        spoken = bank.draw(len(some)) * torch.exp(
            _uniform((len(some), 1), math.log(0.03), math.log(0.5), samples.device)
        )
        start = torch.randint(-width // 2, length - width // 4, (len(some), 1), device=samples.device)
        start = torch.where(torch.rand_like(start, dtype=torch.float32) < 0.2, length - width, start)
        index = start + torch.arange(width, device=samples.device)
        inside = (index >= 0) & (index < length)
        samples[some] = samples[some].scatter_add(1, index.clamp(0, length - 1), spoken * inside)


def _hiss(samples: Tensor, quietest: Tensor, loudest: float) -> Tensor:
    level = torch.exp(_uniform((len(samples), 1), math.log(0.001), math.log(loudest), samples.device))
    noise = torch.randn_like(samples)
    soft = functional.avg_pool1d(noise[:, None], 5, 1, 2, count_include_pad=True)[:, 0] * 5**0.5
    mixed = torch.where(torch.rand((len(samples), 1), device=samples.device) < 0.5, noise, soft)
    return torch.minimum(level, 0.5 * quietest) * mixed


def _band_limit(samples: Tensor) -> Tensor:
    """Roll off above 3.4…8 kHz and below 0…150 Hz."""
    spectrum = torch.fft.rfft(samples)
    frequency = torch.linspace(0, RATE / 2, spectrum.shape[1], device=samples.device)
    top = _uniform((len(samples), 1), 3_400, 8_000, samples.device)
    bottom = _uniform((len(samples), 1), 1, 150, samples.device)
    shape = torch.sigmoid((top - frequency) / 150) * (1 - torch.exp(-((frequency / bottom) ** 2)))
    filtered: Tensor = torch.fft.irfft(spectrum * shape, n=samples.shape[1])
    return filtered
