"""What the engine gives up, in stated order, when it falls behind; and when it takes it back.

Steps are taken one at a time so that each has the time to act, and taken back one at a time after a quiet spell. When
a step that was taken back is needed again soon, the next quiet spell must last twice as long, so that a load near the
limit does not make the engine swing.
"""

from __future__ import annotations

from enum import IntEnum


class Step(IntEnum):
    """How much is being given up. Every step includes the ones before it."""

    NONE = 0
    COMPRESSION = 1
    """Fewer tokens of each window enter the decoder."""
    FRAMES = 2
    """Half of the frames are looked at."""
    WINDOWS = 3
    """Windows that are far too late are not looked at."""

    @property
    def action(self) -> str:
        """Name on the wire and in metrics."""
        return "recovered" if self is Step.NONE else self.name.lower()


LONGEST_SPELL = 8
"""Bound on the quiet spell, in units of the configured one."""


class Degradation:
    """Turns lateness into a step. Time is the caller's; :meth:`observe` may be called at any rate.

    Args:
        behind_s: lateness (seconds past a window's deadline) above which the next step is taken.
        recover_s: seconds without any lateness after which one step is taken back.
    """

    def __init__(self, behind_s: float, recover_s: float) -> None:
        self._behind_s = behind_s
        self._recover_s = recover_s
        self._spell = recover_s
        self._step = Step.NONE
        self._by = 0
        self._changed = float("-inf")
        self._late = float("-inf")

    @property
    def step(self) -> Step:
        return self._step

    def observe(self, late_s: float, now: float) -> bool:
        """Takes note of the lateness of the most urgent window (seconds, at most 0 when on time).

        Returns:
            Whether :attr:`step` changed.
        """
        if late_s > 0:
            self._late = now
        if late_s > self._behind_s and self._step < Step.WINDOWS and now - self._changed >= 2 * self._behind_s:
            return self._move(1, now)
        if self._step > Step.NONE and now - max(self._late, self._changed) >= self._spell:
            return self._move(-1, now)
        return False

    def retry_after(self, now: float) -> float:
        """Seconds until the engine could be back at :attr:`Step.NONE`, if nothing is late any more."""
        if self._step is Step.NONE:
            return 0.0
        quiet = now - max(self._late, self._changed)
        return max(1.0, self._spell * self._step - quiet)

    def _move(self, by: int, now: float) -> bool:
        if by > 0 > self._by:
            relapse = now - self._changed < 2 * self._spell
            self._spell = min(2 * self._spell, LONGEST_SPELL * self._recover_s) if relapse else self._recover_s
        self._step = Step(self._step + by)
        self._by, self._changed = by, now
        return True
