"""The voice that asks: flite's `rms`, which is not in the bank that nano-omni's training speech was made from."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clients.python import read_sound
from clients.python.source import SOUND_RATE, Pcm

VOICE = "rms"
_AUDIBLE = 327
"""1 % of full scale: what counts as voiced, as in `clients.python.Speech`."""


class NoVoice(RuntimeError):
    """flite is missing or cannot speak."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """Speech from its first to its last voiced sample: int16 [n], mono at 48 kHz."""

    samples: Pcm

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / SOUND_RATE


class Voice:
    """Speaks texts, each once; later calls give the same samples.

    Args:
        folder: where flite may write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._spoken: dict[str, Utterance] = {}

    def say(self, text: str) -> Utterance:
        """Speak; raises NoVoice."""
        if text not in self._spoken:
            self._spoken[text] = trimmed(self._speak(text))
        return self._spoken[text]

    def seconds(self, text: str) -> float:
        """How long a text sounds; raises NoVoice."""
        return self.say(text).seconds

    def _speak(self, text: str) -> Pcm:
        path = self._folder / "spoken.wav"
        try:
            subprocess.run(["flite", "-voice", VOICE, "-t", text, "-o", str(path)], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise NoVoice("flite cannot speak: install the Debian package flite (make system-packages)") from error
        return read_sound(str(path))


def trimmed(samples: Pcm) -> Utterance:
    """Without the silence around it; raises NoVoice when there is nothing else."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _AUDIBLE)
    if not len(loud):
        raise NoVoice("what was spoken is silent")
    return Utterance(samples[loud[0] : loud[-1] + 1])
