"""A sound track without holes: blocks of 20 ms from time 0 on, silence where nothing sounds, speech mixed in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from clients.python.source import SOUND_RATE, Pcm, Sound

BLOCK = 960
"""Samples of a block: one Opus packet of 20 ms."""


@dataclass(frozen=True, slots=True)
class Speech:
    """What is said over the source: the first of ``samples`` sounds at media second ``at``."""

    at: float
    samples: Pcm

    @property
    def end(self) -> float:
        """Media second after the last sample."""
        return self.at + len(self.samples) / SOUND_RATE

    @property
    def voiced_end(self) -> float:
        """Media second of the last sample louder than 1 % of full scale: where a listener hears the speech end."""
        loud = np.flatnonzero(np.abs(self.samples.astype(np.int32)) > 327)
        return self.at + (int(loud[-1]) + 1 if len(loud) else 0) / SOUND_RATE


class Soundtrack:
    """Push sounds in, in order; take blocks out. The position of a sample is its time, to the sample."""

    def __init__(self, speech: Sequence[Speech] = ()) -> None:
        self._speech = tuple(speech)
        self._waiting: Pcm = np.zeros(0, dtype=np.int16)
        self._done = 0
        """Samples given out in blocks."""

    @property
    def end(self) -> int:
        """Number of the sample that comes next."""
        return self._done + len(self._waiting)

    def push(self, sound: Sound) -> Iterator[tuple[int, Pcm]]:
        """Add a sound; yields ``(number of its first sample, int16 [960])`` for each block that is complete.

        A hole before it becomes silence; what overlaps the sound before it is left out.
        """
        first = round(sound.at * SOUND_RATE)
        hole = max(0, first - self.end)
        yield from self._take(np.zeros(hole, dtype=np.int16))
        yield from self._take(sound.samples[max(0, self.end - first) :])

    def silence(self, until: float) -> Iterator[tuple[int, Pcm]]:
        """Add silence up to media second ``until``."""
        yield from self._take(np.zeros(max(0, round(until * SOUND_RATE) - self.end), dtype=np.int16))

    def _take(self, samples: Pcm) -> Iterator[tuple[int, Pcm]]:
        self._waiting = np.concatenate([self._waiting, samples])
        while len(self._waiting) >= BLOCK:
            block, self._waiting = self._waiting[:BLOCK], self._waiting[BLOCK:]
            yield self._done, self._mixed(block)
            self._done += BLOCK

    def _mixed(self, block: Pcm) -> Pcm:
        mixed = block.astype(np.int32)
        for speech in self._speech:
            offset = round(speech.at * SOUND_RATE) - self._done
            into, out_of = max(0, offset), max(0, -offset)
            said = speech.samples[out_of : out_of + max(0, BLOCK - into)]
            mixed[into : into + len(said)] += said
        return np.clip(mixed, -32768, 32767).astype(np.int16)
