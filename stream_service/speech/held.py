"""Push to talk: the key says where a turn begins and ends; the voice says whether there was one.

The audio of what was just said is still on its way when the release arrives, so that a voice that sounds at that
moment is followed until it is silent, for a bounded time.
"""

from __future__ import annotations

from enum import Enum, auto

from stream_service.speech.endpoint import EndpointRules, Mark

_LEAST_VOICED = 3
"""Voiced frames (96 ms) below which nothing was said: the key is a sign of speech in itself, so few suffice."""


class Key(Enum):
    UP = auto()
    DOWN = auto()
    RELEASED = auto()
    """Up, while the end of the voice is awaited."""
    EXPIRED = auto()
    """Still down, but the turn was given up as too long."""


class HeldTurn:
    """Like :class:`Endpointer`, driven by a key: frames are numbered from 0 in the order they are pushed."""

    def __init__(self, rules: EndpointRules) -> None:
        self.rules = rules
        self.position = 0
        self.reset()

    def reset(self) -> None:
        """Forget a turn in progress without a mark; the key counts as up."""
        self.key = Key.UP
        self.first = self.last_voiced = self._pressed = self._released = self.position
        self._voiced = 0

    @property
    def open(self) -> bool:
        """Whether a turn is in progress."""
        return self.key in (Key.DOWN, Key.RELEASED)

    @property
    def end(self) -> int:
        """First frame after the turn: the speaker said when it ends."""
        return self.position

    def press(self) -> Mark | None:
        """The key went down at the newest frame; None when a turn is open already."""
        if self.key is not Key.UP:
            return None
        self.reset()
        self.key = Key.DOWN
        return Mark.STARTED

    def release(self) -> Mark | None:
        """The key went up; None when the voice still sounds, or when no turn is open."""
        if self.key is Key.EXPIRED:
            self.reset()
        if self.key is not Key.DOWN:
            return None
        self.key, self._released = Key.RELEASED, self.position
        return self._end_when_silent()

    def push(self, probability: float) -> Mark | None:
        """Take the next frame's probability. At most one mark a frame."""
        frame = self.position
        self.position += 1
        if not self.open:
            return None
        if probability >= self.rules.release_threshold:
            if self._voiced == 0:
                self.first = frame
            self.last_voiced = frame
            self._voiced += 1
        if self.key is Key.RELEASED:
            return self._end_when_silent()
        if self.position - self._pressed > self.rules.max_utterance:
            self.key = Key.EXPIRED
            return Mark.OVERLONG
        return None

    def _end_when_silent(self) -> Mark | None:
        sounding = self._voiced > 0 and self.last_voiced == self.position - 1
        if sounding and self.position - self._released < self.rules.release_grace:
            return None
        self.key = Key.UP
        return Mark.ENDED if self._voiced >= _LEAST_VOICED else Mark.EMPTY
