"""How long to wait before a process that ended is replaced."""

from __future__ import annotations

LONGEST_S = 30.0
HEALTHY_S = 60.0
"""A process that lived this long ended by accident, not because it cannot live."""


class Backoff:
    """The first end is followed by a restart at once; further ones soon after it by pauses that double, up to 30 s.

    Args:
        first_s: the first pause.
    """

    def __init__(self, first_s: float) -> None:
        self._first_s = first_s
        self._quick = 0

    def died(self, lived_s: float) -> float:
        """Seconds to wait after a process that served for ``lived_s`` seconds; 0 for one that could not start."""
        self._quick = 0 if lived_s >= HEALTHY_S else self._quick + 1
        if self._quick <= 1:
            return 0.0
        return min(self._first_s * 2.0 ** min(self._quick - 2, 16), LONGEST_S)
