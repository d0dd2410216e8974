"""Stand-ins for the stages around a session: no model, no media, no thread, no clock but the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from stream_service.errors import OmniDropError
from stream_service.types import (
    AnswerCancelled,
    AnswerDelta,
    AnswerDone,
    AnswerStarted,
    AudioChunk,
    CancelReason,
    ChunkSurvivors,
    EngineEvent,
    EngineInfo,
    EngineStats,
    MediaBreak,
    MediaSink,
    ModalityCounts,
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
    WindowFused,
)

INFO = EngineInfo("fake", "cpu", 4, 2, (168, 168), 512, 0.3, 1000, 8, 63.5, 512)


def sound(at: float, seconds: float = 1.0) -> AudioChunk:
    return AudioChunk(at, np.zeros(round(seconds * 16_000), np.float32))


def wall() -> datetime:
    return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


class FakeEngine:
    """Fuses every window at once; answers when told to (:meth:`answer`), or at once with ``prompt``."""

    def __init__(self, *, prompt: bool = False) -> None:
        self.prompt = prompt
        self.ready = True
        self.refuse: OmniDropError | None = None
        self.opened: dict[str, SessionSettings] = {}
        self.closed: list[str] = []
        self.fed: list[Window] = []
        self.asked: list[tuple[Question, list[Window]]] = []
        self.cancelled: list[tuple[str, CancelReason]] = []
        self._events: asyncio.Queue[EngineEvent | None] = asyncio.Queue()

    async def start(self) -> EngineInfo:
        return INFO

    async def open(self, session: str, settings: SessionSettings) -> int:
        if self.refuse is not None:
            raise self.refuse
        self.opened[session] = settings
        return 2 * (settings.budget or INFO.budget)

    async def resize(self, session: str, budget: int) -> Resized:
        """As if the session were full."""
        if self.refuse is not None:
            raise self.refuse
        resized = Resized(session, budget, 2 * budget, budget, 0.75)
        self.emit(resized)
        return resized

    def feed(self, window: Window) -> None:
        self.fed.append(window)
        counts = ModalityCounts(72, 50)
        self.emit(
            WindowFused(window.session, window.index, window.start, window.end, counts, counts, 1.0, 1.0, 122, 1.0)
        )

    def ask(self, question: Question, closing: Sequence[Window]) -> None:
        for window in closing:
            self.feed(window)
        self.asked.append((question, list(closing)))
        if self.prompt:
            self.answer(question, "a red", " circle.")

    def answer(self, question: Question, *parts: str) -> None:
        self.emit(AnswerStarted(question.session, question.id, 12.0))
        for part in parts:
            self.emit(AnswerDelta(question.session, question.id, part))
        survivors = (ChunkSurvivors(0.0, 2.0, (72, 72, 30, 10), (50, 50, 20, 5)),)
        timings = {"queue": 1.0, "guide": 5.0, "total": 12.0}
        layers = (122, 122, 50, 15)
        text = "".join(parts)
        self.emit(AnswerDone(question.session, question.id, text, "stop", timings, layers, survivors, 0.4, 0.3, 3))

    def cancel(self, session: str, question: str, reason: CancelReason) -> None:
        self.cancelled.append((question, reason))
        self.emit(AnswerCancelled(session, question, reason))

    async def close(self, session: str) -> None:
        self.closed.append(session)

    async def stats(self) -> EngineStats:
        return EngineStats(len(self.opened) - len(self.closed), 0, 0, 0.0, 1)

    async def stop(self, *, drain_s: float) -> None:
        self._events.put_nowait(None)

    def emit(self, event: EngineEvent) -> None:
        self._events.put_nowait(event)

    def pending(self) -> list[EngineEvent]:
        """What it said since the last call, for tests that route it themselves."""
        events = []
        while not self._events.empty():
            event = self._events.get_nowait()
            assert event is not None
            events.append(event)
        return events

    def pending_windows(self) -> list[Window]:
        """Windows whose fusing nobody has heard of yet."""
        return self.fed[len(self.fed) - self._events.qsize() :] if self._events.qsize() else []

    async def events(self) -> AsyncIterator[EngineEvent]:
        while (event := await self._events.get()) is not None:
            yield event


class FakeWindower:
    """A window for every 2 s of sound."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.position = 0.0
        self.breaks: list[MediaBreak] = []
        self._start = 0.0
        self._index = 0

    def tracks(self, *, video: bool, audio: bool) -> None: ...

    def push_video(self, frame: VideoFrame) -> list[Window]:
        raise NotImplementedError

    def push_audio(self, chunk: AudioChunk) -> list[Window]:
        self.position = chunk.end
        return self._close(self._start + 2.0) if self.position >= self._start + 2.0 else []

    def mark_break(self, brk: MediaBreak) -> list[Window]:
        self.breaks.append(brk)
        return []

    def cut(self, at: float) -> list[Window]:
        return self._close(at) if at > self._start else []

    def _close(self, end: float) -> list[Window]:
        window = Window(self.session, self._index, self._start, end, None, np.zeros(32_000, np.float32))
        self._start, self._index = end, self._index + 1
        return [window]


@dataclass
class FakeListener:
    """Hears what the test puts in ``next``."""

    next: list[SpeechEvent] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def set_mode(self, mode: TalkMode) -> list[SpeechEvent]:
        self.calls.append(mode.value)
        return []

    def press(self) -> list[SpeechEvent]:
        self.calls.append("press")
        return self._hear()

    def release(self) -> list[SpeechEvent]:
        self.calls.append("release")
        return self._hear()

    def push(self, chunk: AudioChunk) -> list[SpeechEvent]:
        return self._hear()

    def reset(self) -> list[SpeechEvent]:
        self.calls.append("reset")
        return []

    def _hear(self) -> list[SpeechEvent]:
        heard, self.next = self.next, []
        return heard


@dataclass
class FakeRecogniser:
    """Understands every utterance as ``text``."""

    text: str = "What colour is the circle?"
    rejected: str | None = None
    error: Exception | None = None
    anticipated: list[Utterance] = field(default_factory=list)

    def anticipate(self, utterance: Utterance) -> None:
        self.anticipated.append(utterance)

    async def transcribe(self, utterance: Utterance) -> Transcript:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return Transcript(self.text, 0.9, 80.0, self.rejected)


class FakeSources:
    """Accepts every offer but ``refuse``; the test pushes media into :attr:`sinks`."""

    def __init__(self) -> None:
        self.refuse: OmniDropError | None = None
        self.sinks: dict[str, MediaSink] = {}
        self.ended: list[str] = []
        self.fragments: list[tuple[str, str, str | None]] = []
        self.trickled = Trickled()

    async def publish(self, session: str, offer: str, sink: MediaSink) -> Published:
        if self.refuse is not None:
            raise self.refuse
        self.sinks[session] = sink
        sink.on_tracks(video=True, audio=True)
        return Published(f"answer to {offer}", '"tag"')

    async def trickle(self, session: str, fragment: str, if_match: str | None) -> Trickled:
        self.fragments.append((session, fragment, if_match))
        return self.trickled

    async def end(self, session: str) -> None:
        self.ended.append(session)

    async def stop(self) -> None: ...

    def stats(self, session: str) -> dict[str, float]:
        return {"frames": 60.0}

    def totals(self) -> dict[str, int]:
        return {"frames": 60 * len(self.sinks), "dropped": 2}
