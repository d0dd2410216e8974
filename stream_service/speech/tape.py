"""The newest audio of a session, by sample number: a ring of fixed size."""

from __future__ import annotations

import numpy as np

from stream_service.types import SAMPLE_RATE, Samples


class Tape:
    """Remembers the last ``capacity`` samples; older ones are overwritten. Samples are numbered from 0."""

    def __init__(self, capacity: int) -> None:
        self._ring: Samples = np.zeros(capacity, dtype=np.float32)
        self.end = 0
        """Number of the next sample."""
        self._origin = 0.0

    @property
    def start(self) -> int:
        """Number of the oldest sample still held."""
        return max(0, self.end - len(self._ring))

    def anchor(self, at: float) -> None:
        """The next sample is the one of stream time ``at``."""
        self._origin = at - self.end / SAMPLE_RATE

    def time(self, sample: int) -> float:
        """Stream seconds of a sample number."""
        return self._origin + sample / SAMPLE_RATE

    def append(self, samples: Samples) -> None:
        """Record float32 ``[n]``; n may be at most the capacity."""
        at = self.end % len(self._ring)
        fits = min(len(samples), len(self._ring) - at)
        self._ring[at : at + fits] = samples[:fits]
        self._ring[: len(samples) - fits] = samples[fits:]
        self.end += len(samples)

    def read(self, first: int, stop: int) -> Samples:
        """A copy of samples ``first`` … ``stop`` - 1, clipped to what is held."""
        first, stop = max(first, self.start), min(stop, self.end)
        return self._ring.take(np.arange(first, max(first, stop)), mode="wrap")
