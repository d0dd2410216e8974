"""Where a turn begins and ends: a pure state machine over voice probabilities, one frame at a time.

    QUIET ──p ≥ threshold──▶ ONSET ──enough voiced frames──▶ TALKING ──silence──▶ QUIET   (ENDED)
      ▲                        │ too little voice              │ too long
      └────────────────────────┘                               ▼
      ▲                                                     OVERLONG ──silence──▶ QUIET
      └──────────────────────────────────────────────────────────┘

It knows neither samples nor seconds: frames are numbered from 0 in the order they are pushed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from math import ceil

from stream_service.speech.activity import FRAME
from stream_service.speech.settings import SpeechSettings
from stream_service.types import SAMPLE_RATE

FRAME_MS = FRAME * 1000 / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """The machine's limits; all durations in frames."""

    threshold: float
    release_threshold: float
    min_speech: int
    tail: int
    end_of_turn: int
    max_utterance: int
    release_grace: int
    max_onset_gap: int = 4
    """Silent frames inside an onset after which it was no speech: a stop consonant is shorter than these 128 ms."""

    @classmethod
    def of(cls, settings: SpeechSettings) -> EndpointRules:
        return cls(
            threshold=settings.threshold,
            release_threshold=settings.release_threshold,
            min_speech=frames(settings.min_speech_ms),
            tail=frames(settings.tail_ms),
            end_of_turn=frames(settings.end_of_turn_ms),
            max_utterance=frames(settings.max_utterance_s * 1000),
            release_grace=frames(settings.release_grace_ms),
        )


def frames(milliseconds: float) -> int:
    """The whole frames that cover a duration, at least one."""
    return max(1, ceil(milliseconds / FRAME_MS))


class Phase(Enum):
    QUIET = auto()
    ONSET = auto()
    TALKING = auto()
    OVERLONG = auto()


class Mark(StrEnum):
    """What a frame decided about the turn that it belongs to."""

    STARTED = "started"
    """Speech is certain now; it began at :attr:`Endpointer.first`."""
    PAUSED = "paused"
    """The tail after :attr:`Endpointer.last_voiced` is complete; the turn may go on or end."""
    ENDED = "ended"
    """The turn is over; it went from ``first`` to ``last_voiced``."""
    OVERLONG = "overlong"
    """The turn is longer than allowed and is given up; nothing starts before the voice has been silent."""
    EMPTY = "empty"
    """The turn is over and nothing was said in it (push to talk only)."""


class Endpointer:
    """Push a probability a frame; get the mark that this frame makes, or None."""

    def __init__(self, rules: EndpointRules) -> None:
        self.rules = rules
        self.position = 0
        """Frames pushed so far."""
        self.reset()

    def reset(self) -> None:
        """Forget a turn in progress without a mark; frame numbers go on."""
        self.phase = Phase.QUIET
        self.first = self.last_voiced = self.position
        self._voiced = 0

    @property
    def open(self) -> bool:
        """Whether a turn was marked as started and not yet as over."""
        return self.phase is Phase.TALKING

    @property
    def end(self) -> int:
        """First frame after the turn."""
        return self.last_voiced + 1

    def push(self, probability: float) -> Mark | None:
        """Take the next frame's probability. At most one mark a frame."""
        frame = self.position
        self.position += 1
        if self.phase is Phase.QUIET:
            if probability < self.rules.threshold:
                return None
            self.phase, self.first, self._voiced = Phase.ONSET, frame, 0
        if probability >= self.rules.release_threshold:
            self.last_voiced = frame
            self._voiced += 1
        if self.phase is Phase.ONSET:
            return self._onset(frame)
        return self._talking(frame)

    def _onset(self, frame: int) -> Mark | None:
        if self._voiced >= self.rules.min_speech:
            self.phase = Phase.TALKING
            return Mark.STARTED
        if frame - self.last_voiced > self.rules.max_onset_gap:
            self.reset()
        return None

    def _talking(self, frame: int) -> Mark | None:
        silence = frame - self.last_voiced
        if silence >= self.rules.end_of_turn:
            ended, self.phase = self.phase, Phase.QUIET
            return Mark.ENDED if ended is Phase.TALKING else None
        if self.phase is Phase.OVERLONG:
            return None
        if frame - self.first >= self.rules.max_utterance:
            self.phase = Phase.OVERLONG
            return Mark.OVERLONG
        return Mark.PAUSED if silence == self.rules.tail else None
