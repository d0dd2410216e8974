"""Random draws that are the same on every machine and with every numpy release."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
_BLOCK = 512
_SCALE = 2.0**-53


class Draws:
    """A stream of draws from PCG64's raw 64-bit words.

    numpy promises that the raw words of a bit generator never change; it does not promise that of its distributions,
    and a scalar call of those costs microseconds. So we take blocks of words and shape them ourselves.

    Args:
        seed: any non-negative integers; equal integers give an equal stream.
    """

    __slots__ = ("_at", "_bits", "_block")

    def __init__(self, *seed: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(seed))
        self._block: list[float] = []
        self._at = 0

    def unit(self) -> float:
        """Return a number in [0, 1)."""
        if self._at == len(self._block):
            self._block = ((self._bits.random_raw(_BLOCK) >> np.uint64(11)) * _SCALE).tolist()
            self._at = 0
        self._at += 1
        return self._block[self._at - 1]

    def uniform(self, low: float, high: float) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * self.unit()

    def below(self, bound: int) -> int:
        """Return an integer in [0, bound)."""
        return int(self.unit() * bound)

    def between(self, low: int, high: int) -> int:
        """Return an integer in [low, high], both ends included."""
        return low + int(self.unit() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return self.unit() < probability

    def choice(self, options: Sequence[T]) -> T:
        """Return one of the options, all equally likely."""
        return options[int(self.unit() * len(options))]

    def weighted(self, options: Sequence[T], cumulative: Sequence[float]) -> T:
        """Return one of the options; `cumulative` holds the running sums of their weights."""
        mark = self.unit() * cumulative[-1]
        return next(option for option, edge in zip(options, cumulative, strict=True) if mark < edge)

    def shuffled(self, options: Sequence[T]) -> list[T]:
        """Return the options in a random order."""
        pool = list(options)
        for last in range(len(pool) - 1, 0, -1):
            other = self.below(last + 1)
            pool[last], pool[other] = pool[other], pool[last]
        return pool
