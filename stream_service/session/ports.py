"""What a session needs of the other stages, as protocols; the concrete classes are named in ``app.py`` only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from stream_service.types import (
    AudioChunk,
    CancelReason,
    EngineEvent,
    EngineInfo,
    EngineStats,
    MediaBreak,
    MediaSink,
    Published,
    Question,
    Resized,
    SessionSettings,
    SpeechEvent,
    TalkMode,
    Transcript,
    Trickled,
    Utterance,
    VideoFrame,
    Window,
)


class Engine(Protocol):
    """The accelerator's side: fuses windows and answers questions, in the order given for each session."""

    @property
    def ready(self) -> bool:
        """Whether it can take sessions and questions now."""
        ...

    async def start(self) -> EngineInfo:
        """Load the model; raises StartupError."""
        ...

    async def open(self, session: str, settings: SessionSettings) -> int:
        """The bytes that the session takes at most; raises ServerFull, InvalidInput or EngineUnavailable."""
        ...

    async def resize(self, session: str, budget: int) -> Resized:
        """Change what the session may keep, once no answer runs; the event is among :meth:`events` as well.

        Raises NotFound, InvalidInput, Conflict, ServerFull or EngineUnavailable.
        """
        ...

    def feed(self, window: Window) -> None: ...

    def ask(self, question: Question, closing: Sequence[Window]) -> None:
        """Fuse ``closing``, then answer. Ends in exactly one AnswerDone, AnswerCancelled or EngineFault."""

    def cancel(self, session: str, question: str, reason: CancelReason) -> None: ...

    async def close(self, session: str) -> None: ...

    async def stats(self) -> EngineStats: ...

    async def stop(self, *, drain_s: float) -> None: ...

    def events(self) -> AsyncIterator[EngineEvent]:
        """The events of all sessions, for one consumer."""
        ...


class WindowCutter(Protocol):
    """Cuts a session's media into windows; a pure object without a clock of its own."""

    @property
    def position(self) -> float:
        """Stream seconds of the newest media."""
        ...

    def tracks(self, *, video: bool, audio: bool) -> None: ...

    def push_video(self, frame: VideoFrame) -> list[Window]: ...

    def push_audio(self, chunk: AudioChunk) -> list[Window]: ...

    def mark_break(self, brk: MediaBreak) -> list[Window]: ...

    def cut(self, at: float) -> list[Window]:
        """Close the open window at ``at``; empty when nothing came since the last one."""
        ...


class Listener(Protocol):
    """Finds turns of speech; cheap enough for the event loop (0.4 % of real time)."""

    def set_mode(self, mode: TalkMode) -> list[SpeechEvent]: ...

    def press(self) -> list[SpeechEvent]: ...

    def release(self) -> list[SpeechEvent]: ...

    def push(self, chunk: AudioChunk) -> list[SpeechEvent]: ...

    def reset(self) -> list[SpeechEvent]:
        """The audio is interrupted: settle the open utterance."""
        ...


class Recogniser(Protocol):
    """Turns an utterance into words."""

    def anticipate(self, utterance: Utterance) -> None:
        """Begin to recognise what will probably be transcribed next."""

    async def transcribe(self, utterance: Utterance) -> Transcript: ...


class Sources(Protocol):
    """The WebRTC sources of all sessions."""

    async def publish(self, session: str, offer: str, sink: MediaSink) -> Published:
        """Raises InvalidSdp, UnsupportedMedia or TooLarge."""
        ...

    async def trickle(self, session: str, fragment: str, if_match: str | None) -> Trickled:
        """Raises PreconditionFailed, PreconditionRequired, InvalidSdp or NotFound."""
        ...

    async def end(self, session: str) -> None: ...

    async def stop(self) -> None: ...

    def stats(self, session: str) -> dict[str, float]: ...

    def totals(self) -> dict[str, int]:
        """What all sources so far have brought: frames, dropped, packets_received, packets_lost."""
        ...
