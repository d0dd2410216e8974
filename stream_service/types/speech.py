"""Speech between the stages: who may speak, what was said, and how sure the recogniser is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stream_service.types.media import Samples


class TalkMode(StrEnum):
    """How a session's microphone becomes questions."""

    HANDS_FREE = "hands_free"
    PUSH_TO_TALK = "push_to_talk"
    OFF = "off"


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Utterance:
    """One turn of speech, from its first to its last voiced sample (with a little margin for the recogniser)."""

    samples: Samples
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    at: float


@dataclass(frozen=True, slots=True, eq=False)
class SpeechPaused:
    """The speaker is silent, perhaps for good: if so, ``utterance`` is the very object that SpeechStopped will carry.

    A hint to transcribe ahead; nothing happened that anyone else needs to know.
    """

    at: float
    utterance: Utterance


@dataclass(frozen=True, slots=True, eq=False)
class SpeechStopped:
    """The turn is over. ``at`` is the last voiced sample, which is where the question cuts the stream."""

    at: float
    duration: float
    utterance: Utterance


@dataclass(frozen=True, slots=True)
class SpeechDropped:
    """What began as speech was none, or cannot be used; ``reason`` is a sentence for the speaker."""

    at: float
    reason: str


SpeechEvent = SpeechStarted | SpeechPaused | SpeechStopped | SpeechDropped


@dataclass(frozen=True, slots=True)
class Transcript:
    """``confidence`` in [0, 1], or None where the recogniser states none; ``text`` may be empty.

    ``rejected`` says, in a sentence for the speaker, why these words should not be asked; None when they should.
    """

    text: str
    confidence: float | None
    took_ms: float
    rejected: str | None = None
