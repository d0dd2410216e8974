"""Interarrival jitter of a track, as RFC 3550 §6.4.1 smooths it."""

from __future__ import annotations

_WRAP = 1 << 32
_LIMIT_S = 5.0
"""A step beyond this is a pause or another clock, not jitter."""


class Jitter:
    """An estimate that survives what packets really do.

    aiortc's own takes a wrap of the timestamp, a retransmission or a browser's probe (on another SSRC, with a timestamp
    of its own) for hours of jitter, which it never forgets. Here only steps forward in media time count.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._timestamp: int | None = None
        self._now = 0.0
        self.seconds = 0.0
        """The estimate."""

    def add(self, timestamp: int, now: float) -> None:
        """A packet with this 32-bit timestamp arrived at ``now`` (seconds of any steady clock)."""
        if self._timestamp is not None:
            step = ((timestamp - self._timestamp + _WRAP // 2) % _WRAP - _WRAP // 2) / self._rate
            if -_LIMIT_S < step <= 0:
                return
            late = abs(now - self._now - step)
            if 0 < step < _LIMIT_S and late < _LIMIT_S:
                self.seconds += (late - self.seconds) / 16
        self._timestamp, self._now = timestamp, now
