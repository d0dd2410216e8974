"""How long, how high and how loud sounds are, and how far apart."""

from dataclasses import dataclass

MARGIN = 8
"""Ticks by which a sound meant for one scene stays clear of the scenes around it."""
GAP = 10
"""Least ticks between two sounds."""


@dataclass(frozen=True, slots=True)
class SoundRange:
    """What a kind of sound may be: lengths in ticks, pitches in Hz."""

    shortest: int
    longest: int
    lowest: float
    highest: float


SOUND_RANGES = {
    "beep": SoundRange(6, 24, 500, 1500),
    "bell": SoundRange(18, 45, 500, 1100),
    "buzz": SoundRange(9, 36, 90, 160),
    "chirp": SoundRange(9, 30, 2000, 3200),
    "siren": SoundRange(24, 48, 650, 950),
    "knock": SoundRange(12, 24, 140, 260),
    "noise": SoundRange(8, 36, 1000, 4000),
    "horn": SoundRange(12, 42, 220, 420),
}
LEVELS = {"dense": (0.12, 0.7), "needle": (0.03, 0.12), "long": (0.12, 0.7)}
"""Peak amplitudes by split."""
NEEDLE_TICKS = {
    "beep": (4, 8), "bell": (8, 14), "buzz": (5, 9), "chirp": (5, 9),
    "siren": (12, 18), "knock": (6, 12), "noise": (4, 8), "horn": (6, 12),
}  # fmt: skip
"""Shortest and longest of the needle split: 4 to 15 audio tokens."""
