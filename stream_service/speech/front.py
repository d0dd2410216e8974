"""One session's hearing: samples in, turns of speech out. Synchronous; it knows no clock but the samples'."""

from __future__ import annotations

from stream_service.speech.activity import FRAME, VoiceActivity
from stream_service.speech.endpoint import Endpointer, EndpointRules, Mark, frames
from stream_service.speech.held import HeldTurn
from stream_service.speech.settings import SpeechSettings
from stream_service.speech.tape import Tape
from stream_service.types import (
    SAMPLE_RATE,
    AudioChunk,
    SpeechDropped,
    SpeechEvent,
    SpeechPaused,
    SpeechStarted,
    SpeechStopped,
    TalkMode,
    Utterance,
)

_TOLERANCE_S = 0.1
"""A chunk further than this from where the one before it ended does not continue it."""
_SPARE_S = 2.0
"""Audio held beyond the longest utterance, so that its margins are there too."""
_EMPTY = "No voice was heard while the key was held. Hold it while you speak, and check the microphone."
_OVERLONG = "That was longer than {:g} s and not taken for a question. Ask in fewer words."
_INTERRUPTED = "The sound was interrupted while you spoke. Ask again."
_MODE_CHANGED = "The microphone's mode was changed while you spoke. Ask again."


class SpeechFront:
    """Finds turns of speech in a stream of audio, by voice activity or by a key; bounded memory (about 1.4 MB).

    Every method returns what it made happen, in order. Each SpeechStarted is followed by exactly one SpeechStopped or
    SpeechDropped, with any number of SpeechPaused between them.
    """

    def __init__(self, settings: SpeechSettings, activity: VoiceActivity) -> None:
        self._settings = settings
        self._activity = activity
        self._pre_roll = frames(settings.pre_roll_ms) * FRAME if settings.pre_roll_ms else 0
        self._tape = Tape(int((settings.max_utterance_s + _SPARE_S) * SAMPLE_RATE))
        self._rules = EndpointRules.of(settings)
        self._paused: Utterance | None = None
        self._enter(settings.mode)

    def set_mode(self, mode: TalkMode) -> list[SpeechEvent]:
        """Listen by ``mode`` from the newest sample on; a turn in progress is dropped. No effect when unchanged."""
        if mode is self.mode:
            return []
        events = self._drop(_MODE_CHANGED)
        self._enter(mode)
        return events

    def press(self) -> list[SpeechEvent]:
        """The push-to-talk key went down; ignored in other modes."""
        return self._mark(self._held.press()) if self.mode is TalkMode.PUSH_TO_TALK else []

    def release(self) -> list[SpeechEvent]:
        """The key went up: the turn ends now or, when the voice still sounds, as soon as it does not."""
        return self._mark(self._held.release()) if self.mode is TalkMode.PUSH_TO_TALK else []

    def reset(self) -> list[SpeechEvent]:
        """What follows does not continue what came before: a turn in progress is dropped."""
        events = self._drop(_INTERRUPTED)
        self._enter(self.mode)
        return events

    def push(self, chunk: AudioChunk) -> list[SpeechEvent]:
        """Hear the next samples (of any number). About 0.12 ms of one core a 32 ms frame."""
        events: list[SpeechEvent] = []
        if self._tape.end and abs(chunk.at - self._tape.time(self._tape.end)) > _TOLERANCE_S:
            events += self.reset()
        self._tape.anchor(chunk.at)
        if self.mode is TalkMode.OFF:
            return events
        for first in range(0, len(chunk.samples), FRAME):
            self._tape.append(chunk.samples[first : first + FRAME])
            while self._tape.end - self._frame_sample(self._turn.position) >= FRAME:
                events += self._frame()
        return events

    def _frame(self) -> list[SpeechEvent]:
        first = self._frame_sample(self._turn.position)
        return self._mark(self._turn.push(self._activity.probability(self._tape.read(first, first + FRAME))))

    def _mark(self, mark: Mark | None) -> list[SpeechEvent]:
        """The event that a mark of the turn means."""
        turn, time = self._turn, self._frame_time
        match mark:
            case Mark.STARTED:
                return [SpeechStarted(time(turn.first))]
            case Mark.PAUSED:
                self._paused = self._cut()
                return [SpeechPaused(time(turn.last_voiced + 1), self._paused)]
            case Mark.ENDED:
                utterance = self._cut()
                if self._paused is not None and self._paused.end == utterance.end:
                    utterance = self._paused
                self._paused = None
                return [SpeechStopped(time(turn.end), (turn.end - turn.first) * FRAME / SAMPLE_RATE, utterance)]
            case Mark.OVERLONG:
                return [SpeechDropped(time(turn.position), _OVERLONG.format(self._settings.max_utterance_s))]
            case Mark.EMPTY:
                return [SpeechDropped(time(turn.position), _EMPTY)]
            case None:
                return []

    def _cut(self) -> Utterance:
        """The turn so far with its margins: the pre-roll, and at most the tail after the last voiced frame."""
        first = self._frame_sample(self._turn.first) - self._pre_roll
        stop = self._frame_sample(self._turn.last_voiced + 1 + self._rules.tail)
        first, stop = max(first, self._base, self._tape.start), min(stop, self._tape.end)
        return Utterance(self._tape.read(first, stop), self._tape.time(first), self._tape.time(stop))

    def _drop(self, reason: str) -> list[SpeechEvent]:
        return [SpeechDropped(self._tape.time(self._tape.end), reason)] if self._turn.open else []

    def _enter(self, mode: TalkMode) -> None:
        """Start afresh at the newest sample."""
        self.mode = mode
        self._activity.reset()
        self._paused = None
        self._base = self._tape.end
        self._held = HeldTurn(self._rules)
        self._turn: Endpointer | HeldTurn = self._held if mode is TalkMode.PUSH_TO_TALK else Endpointer(self._rules)

    def _frame_sample(self, frame: int) -> int:
        return self._base + frame * FRAME

    def _frame_time(self, frame: int) -> float:
        return self._tape.time(self._frame_sample(frame))
