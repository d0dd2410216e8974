"""Packed scripts to samples: every event synthesised side by side, the same within one step of 32,768 on every device.

Phases are integers (a direct digital synthesiser): they neither drift nor depend on a device's rounding.
"""

from dataclasses import dataclass
from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor

from nano_omni.world.entities import TICKS, WINDOW_SECONDS
from nano_omni.world.hashing import noise, scramble
from nano_omni.world.pack import LOOK, SOUND, Packed
from nano_omni.world.vocabulary import SOUNDS

RATE = 16_000
LONGEST = 48 * RATE // TICKS
"""Samples of the longest event."""
PHASE_BITS = 32
PARTIALS = 4


@dataclass(frozen=True, slots=True)
class Timbre:
    """What a kind of sound is made of."""

    ratios: tuple[float, ...]
    """Frequencies of the partials relative to the pitch."""
    weights: tuple[float, ...]
    attack: float
    """Seconds to full level."""
    decay: float
    """Seconds to 1/e; long means sustained."""
    drive: float = 0.0
    """How far the waveform is bent towards a square wave: 0 leaves it."""
    pulse: float = 0.0
    """Seconds between repeats within an event: 0 means one."""
    sweep: float = 0.0
    """Rise of the pitch, Hz per second."""
    wail: float = 0.0
    """Swing of the pitch up and down, relative."""
    flutter: float = 0.0
    """Depth of a fast tremolo."""
    breath: float = 0.0
    """Share of noise."""


PURE, LONG = (1.0, 0.0, 0.0, 0.0), 1e3
TIMBRES = {
    "beep": Timbre((1, 2, 3, 4), PURE, 0.005, LONG),
    "bell": Timbre((1, 2.76, 5.4, 0.5), (0.5, 0.28, 0.14, 0.08), 0.002, 0.35),
    "buzz": Timbre((1, 2, 3, 4), (0.7, 0.15, 0.1, 0.05), 0.01, LONG, drive=5.0, flutter=0.5),
    "chirp": Timbre((1, 2, 3, 4), PURE, 0.01, 0.06, pulse=0.15, sweep=14_000.0),
    "siren": Timbre((1, 2, 3, 4), (0.8, 0.15, 0.05, 0.0), 0.03, LONG, wail=0.3),
    "knock": Timbre((1, 1.7, 2.9, 4.3), (0.5, 0.25, 0.1, 0.05), 0.001, 0.022, pulse=0.2, breath=0.1),
    "noise": Timbre((1, 2, 3, 4), (0.0, 0.0, 0.0, 0.0), 0.01, LONG, breath=1.0),
    "horn": Timbre((1, 1.26, 2, 2.52), (0.4, 0.35, 0.15, 0.1), 0.05, LONG, drive=1.6),
}
_FIELDS = ("attack", "decay", "drive", "pulse", "sweep", "wail", "flutter", "breath")


@torch.no_grad()
def synthesise(
    packed: Packed, device: torch.device | str | None = None, *, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Sound every stream of a batch.

    Args:
        packed: B streams.
        device: where to compute; the batch's own device by default.
        dtype: arithmetic; float64 is for checking.

    Returns:
        float32 [B, 32000 * windows], mono at 16 kHz in [-1, 1].
    """
    packed = packed if device is None else packed.to(device)
    length = packed.windows * WINDOW_SECONDS * RATE
    looks = packed.looks.to(dtype)
    out = _ambience(looks, packed.seeds, length)
    events = _events(packed.sounds.flatten(0, 1), packed.seeds.repeat_interleave(packed.sounds.shape[1]), dtype)
    starts = (packed.sounds[..., SOUND["start"]].long() * RATE) // TICKS
    at = starts[..., None] + torch.arange(LONGEST, device=out.device)
    padded = F.pad(out, (0, LONGEST))
    # Events never overlap, and beyond its end an event adds zeros: the order of these additions cannot matter.
    padded.scatter_add_(1, at.flatten(1), events.view(len(packed), -1))
    gain = looks[:, LOOK["gain"], None]
    return (padded[:, :length] * gain).clamp(-1, 1).to(torch.float32)


def _ambience(looks: Tensor, seeds: Tensor, length: int) -> Tensor:
    """Return hiss, from white to dull, and the hum of the mains, [B, length]."""
    steps = torch.arange(length + 15, device=looks.device, dtype=torch.int32)
    start = scramble((seeds * 31 + 17 & 0x7FFFFFFF).to(torch.int32))[:, None]
    white = noise(start + steps, looks.dtype)
    # The mean of 16 neighbours, as four doublings: an order of additions that every device keeps.
    dull = white
    for reach in (1, 2, 4, 8):
        dull = dull[:, :-reach] + dull[:, reach:]
    share = looks[:, LOOK["hiss_colour"], None]
    hiss = looks[:, LOOK["hiss"], None] * torch.lerp(white[:, :length], dull / 4, share)
    cycles = (looks[:, LOOK["hum_rate"], None].long() * steps[:length]) % RATE
    turn = 2 * pi / RATE * cycles.to(looks.dtype)
    return hiss + looks[:, LOOK["hum"], None] * (0.7 * torch.sin(turn) + 0.3 * torch.sin(3 * turn))


def _events(sounds: Tensor, seeds: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the samples of each event from its start, zero after its end, [N, LONGEST]."""
    timbre = _timbres(sounds, dtype)
    count = torch.arange(LONGEST, device=sounds.device)
    colour, pitch = (sounds[:, SOUND[name], None].to(dtype) for name in ("colour", "pitch"))
    period = (timbre["pulse"] * (0.85 + 0.3 * colour) * RATE).round().long()
    step = torch.where(period > 0, count % period.clamp(min=1), count)
    seconds = step.to(dtype) / RATE

    wave = _partials(timbre, pitch, step)
    bend = timbre["drive"] * (0.7 + 0.6 * colour)
    wave = torch.where(bend > 0, torch.tanh(bend * wave) / torch.tanh(bend).clamp(min=1e-6), wave)
    words = scramble((seeds & 0x7FFFFFFF).to(torch.int32) + sounds[:, SOUND["start"]].to(torch.int32))
    white = noise(words[:, None] + count.to(torch.int32), dtype)
    # For noise, the pitch says how much of it is high: the difference of neighbours against their mean.
    bright = ((pitch - 1000) / 3000).clamp(0, 1)
    near = torch.cat([white[:, 1:], white[:, :1]], 1)
    white = torch.lerp((white + near) / 2, white, bright)
    wave = torch.lerp(wave, white, timbre["breath"])

    tremor = 1 - timbre["flutter"] * (0.5 + 0.5 * torch.sin(2 * pi * (22 + 10 * colour) * seconds))
    rise = (seconds / timbre["attack"]).clamp(max=1)
    length = sounds[:, SOUND["duration"], None].to(dtype) * (RATE / TICKS)
    fall = ((length - count.to(dtype)) / (0.012 * RATE)).clamp(0, 1)
    envelope = rise * fall * torch.exp(-seconds / (timbre["decay"] * (0.8 + 0.4 * colour))) * tremor
    loud = sounds[:, SOUND["level"], None].to(dtype) * sounds[:, SOUND["there"], None].to(dtype)
    return wave * envelope * loud


def _timbres(sounds: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return each event's timbre, a [N, 1] tensor a field, and ratios and weights as [N, PARTIALS]."""
    rows = [TIMBRES[kind] for kind in SOUNDS]
    kinds = sounds[:, SOUND["kind"]].long()
    table = {name: [[float(getattr(row, name))] for row in rows] for name in _FIELDS}
    table |= {"ratios": [list(row.ratios) for row in rows], "weights": [list(row.weights) for row in rows]}
    return {name: torch.tensor(values, dtype=dtype, device=sounds.device)[kinds] for name, values in table.items()}


def _partials(timbre: dict[str, Tensor], pitch: Tensor, step: Tensor) -> Tensor:
    """Return the sum of the partials, [N, LONGEST], its phase counted in 2**-32 turns."""
    wrap, wail_rate = (1 << PHASE_BITS) - 1, 1.6
    # A wail swings the phase by tens of turns, which only double precision holds to a 32,768th.
    seconds = step.double() / RATE
    reach = timbre["wail"].double() * pitch.double() / (2 * pi * wail_rate)
    swing = reach * (1 - torch.cos(2 * pi * wail_rate * seconds))
    wave = torch.zeros_like(seconds, dtype=pitch.dtype)
    for partial in range(PARTIALS):
        ratio = timbre["ratios"][:, partial, None]
        # A pitch is a float32, so its increment is the same integer everywhere; the rise adds a triangular number.
        speed = (pitch.double() * ratio.double() * (2.0**PHASE_BITS / RATE)).long()
        rise = (timbre["sweep"].double() * ratio.double() * (2.0**PHASE_BITS / RATE**2)).long()
        turns = (speed * step + rise * (step * (step - 1) // 2)) & wrap
        phase = (turns.double() * 2.0**-PHASE_BITS + ratio.double() * swing).frac().to(pitch.dtype)
        wave = wave + timbre["weights"][:, partial, None] * torch.sin(2 * pi * phase)
    return wave
