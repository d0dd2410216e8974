"""A session's hearing: its audio goes to the listener as it arrives, its utterances to the recogniser in order.

Where the speech itself is asked (``aloud``), recognition only finds the words to show: nothing waits for it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from stream_service.errors import OmniDropError
from stream_service.session.ports import Listener, Recogniser
from stream_service.types import (
    AudioChunk,
    SpeechDropped,
    SpeechEvent,
    SpeechPaused,
    SpeechStarted,
    SpeechStopped,
    TalkMode,
    Transcript,
    Utterance,
)

_UTTERANCES = 4
"""Utterances that may wait for the recogniser; a further one is dropped and the speaker told."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A turn of speech that ended at stream time ``at`` and, on the server's clock, at ``asked`` (seconds).

    ``question`` is the one that the speech itself has asked; None when its words are to ask, or it was refused.
    """

    at: float
    asked: float
    hang_over_s: float
    question: str | None = None


class SpeechReactions(Protocol):
    """What the session does about speech; called on the event loop."""

    def speech_started(self, event: SpeechStarted) -> None: ...

    def speech_stopped(self, event: SpeechStopped) -> Spoken:
        """The turn is over: the moment to cut the window, and to ask by the speech itself. Its words follow."""
        ...

    def speech_dropped(self, event: SpeechDropped) -> None: ...

    def heard(self, spoken: Spoken, transcript: Transcript) -> None: ...

    def not_heard(self, error: OmniDropError) -> None: ...


class Ears:
    """One session's listener and its line of utterances to the recogniser."""

    def __init__(
        self,
        listener: Listener,
        recogniser: Recogniser,
        reactions: SpeechReactions,
        mode: TalkMode,
        *,
        aloud: bool = False,
    ) -> None:
        self._listener = listener
        self._recogniser = recogniser
        self._reactions = reactions
        self._aloud = aloud
        self._utterances: asyncio.Queue[tuple[Spoken, Utterance]] = asyncio.Queue(_UTTERANCES)
        self.mode = mode
        self._react(listener.set_mode(mode))

    def hear(self, chunk: AudioChunk) -> None:
        self._react(self._listener.push(chunk))

    def set_mode(self, mode: TalkMode) -> None:
        self.mode = mode
        self._react(self._listener.set_mode(mode))

    def press(self) -> None:
        self._react(self._listener.press())

    def release(self) -> None:
        self._react(self._listener.release())

    def reset(self) -> None:
        """The audio is interrupted: what follows does not continue the open utterance."""
        self._react(self._listener.reset())

    async def run(self) -> None:
        """Recognise utterances, one after the other, until cancelled."""
        while True:
            spoken, utterance = await self._utterances.get()
            try:
                transcript = await self._recogniser.transcribe(utterance)
            except OmniDropError as error:
                if not self._aloud:
                    self._reactions.not_heard(error)
            else:
                self._reactions.heard(spoken, transcript)

    def _react(self, happened: list[SpeechEvent]) -> None:
        for event in happened:
            match event:
                case SpeechStarted():
                    self._reactions.speech_started(event)
                case SpeechPaused():
                    if not self._aloud:
                        self._recogniser.anticipate(event.utterance)
                case SpeechDropped():
                    self._reactions.speech_dropped(event)
                case SpeechStopped() if self._aloud:
                    spoken = self._reactions.speech_stopped(event)
                    if spoken.question is not None and not self._utterances.full():
                        self._utterances.put_nowait((spoken, event.utterance))
                case SpeechStopped() if self._utterances.full():
                    reason = "Earlier questions are still being recognised: say it again in a moment."
                    self._reactions.speech_dropped(SpeechDropped(event.at, reason))
                case SpeechStopped():
                    self._utterances.put_nowait((self._reactions.speech_stopped(event), event.utterance))
