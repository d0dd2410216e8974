"""The nouns that the stages of the service exchange; the stages meet only here and in :mod:`stream_service.errors`.

Every time called ``at``, ``start`` or ``end`` is in *stream seconds*: seconds since the session's first media, on the
clock of the sender's RTP timestamps, so that a late packet does not move what it shows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FramePixels = NDArray[np.uint8]
"""uint8 ``[H, W, 3]``, RGB, rotated upright."""
Samples = NDArray[np.float32]
"""float32 ``[n]``, mono, 16 kHz, in [-1, 1]."""

SAMPLE_RATE = 16_000
"""Hz, of every sample array between the stages."""


class VideoFrame(Protocol):
    """One decoded picture. Pixels are converted only for the few frames that a window keeps."""

    @property
    def at(self) -> float:
        """Stream seconds."""
        ...

    @property
    def source_size(self) -> tuple[int, int]:
        """Width and height as sent (after rotation), to notice a change of resolution."""
        ...

    def pixels(self) -> FramePixels:
        """The picture scaled (cropped or letterboxed) to the model's frame size."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class AudioChunk:
    """Consecutive samples; ``at`` is the time of the first one."""

    at: float
    samples: Samples

    @property
    def end(self) -> float:
        return self.at + len(self.samples) / SAMPLE_RATE


class BreakKind(StrEnum):
    """Why what follows cannot continue the segment before it."""

    GAP = "gap"
    RESOLUTION = "resolution"
    TRACK = "track"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class MediaBreak:
    """The stream's continuity ended at ``at``; the next window opens a new segment."""

    at: float
    kind: BreakKind


class MediaSink(Protocol):
    """Where a source's media goes. Called on the event loop; must return at once and may never raise."""

    def on_tracks(self, *, video: bool, audio: bool) -> None:
        """The source was negotiated, or negotiated again, with these tracks."""

    def on_video(self, frame: VideoFrame) -> None: ...

    def on_audio(self, chunk: AudioChunk) -> None: ...

    def on_break(self, brk: MediaBreak) -> None: ...

    def on_lost(self, reason: str) -> None:
        """No media can arrive until the source comes back (connection failed, ended, or silent for too long)."""

    def on_back(self) -> None:
        """Media flows again after :meth:`on_lost`."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What the engine fuses at once: 2 s of media, or 1 s when a question closed it early.

    ``frames`` is uint8 ``[T, H, W, 3]`` at 2 frames a second (T = 4 or 2), or None without video; ``samples`` is
    float32 ``[T / 2 * 16000]``, or None without audio. ``end`` is where media was cut; a closing window is completed to
    whole temporal patches (1 s) by repeating its last frame and by silence, never by waiting.
    """

    session: str
    index: int
    start: float
    end: float
    frames: NDArray[np.uint8] | None
    samples: Samples | None
    new_segment: bool = False
    lost_frames: int = 0


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


@dataclass(frozen=True, slots=True)
class Published:
    """A source was negotiated (RFC 9725 §4.2): the SDP answer and the entity tag of its ICE session."""

    answer: str
    etag: str


@dataclass(frozen=True, slots=True)
class Trickled:
    """The outcome of a PATCH (RFC 9725 §4.3): both fields are set after an ICE restart, neither after plain trickle."""

    answer: str | None = None
    etag: str | None = None


class QuestionSource(StrEnum):
    SPEECH = "speech"
    HTTP = "http"
    MQTT = "mqtt"


@dataclass(frozen=True, slots=True)
class Question:
    """A question about the stream as it was at ``at`` (the end of speech, or the moment of asking)."""

    id: str
    session: str
    text: str
    source: QuestionSource
    at: float
    confidence: float | None = None


class CancelReason(StrEnum):
    BARGE_IN = "barge-in"
    CLIENT = "client"
    TIMEOUT = "timeout"
    ENGINE_LOST = "engine lost"
    SERVER_LOST = "server lost"
    SHUTDOWN = "shutdown"
    SESSION_CLOSED = "session closed"


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What a session asks of the engine; None leaves the deployment's default.

    ``retention`` (mean over layers, of the tokens before compression) is met exactly or refused, and then replaces
    ``deep_share``.
    """

    budget: int | None = None
    deep_share: float | None = None
    retention: float | None = None
    max_answer_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ModalityCounts:
    """Tokens by modality."""

    video: int
    audio: int


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the running engine is, for the page and for the operator."""

    model: str
    device: str
    layers: int
    fusion_depth: int
    frame_size: tuple[int, int]
    budget: int
    deep_share: float
    session_bytes: int
    max_sessions: int


@dataclass(frozen=True, slots=True)
class WindowFused:
    session: str
    index: int
    start: float
    end: float
    seen: ModalityCounts
    kept: ModalityCounts
    encode_ms: float
    fuse_ms: float
    store_tokens: int
    coverage: float


@dataclass(frozen=True, slots=True)
class StoreEvicted:
    session: str
    tokens: int
    chunks_thinned: int
    coverage: float


@dataclass(frozen=True, slots=True)
class ChunkSurvivors:
    """Audiovisual tokens of one past window still alive when entering each layer."""

    start: float
    end: float
    video: tuple[int, ...]
    audio: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AnswerStarted:
    session: str
    question: str
    ttft_ms: float


@dataclass(frozen=True, slots=True)
class AnswerDelta:
    session: str
    question: str
    text: str


@dataclass(frozen=True, slots=True)
class AnswerDone:
    """``timings_ms`` names the parts: queue, encode, fuse, guide, decode, total."""

    session: str
    question: str
    text: str
    finish_reason: str
    timings_ms: dict[str, float]
    tokens_per_layer: tuple[int, ...]
    survivors: tuple[ChunkSurvivors, ...]
    retention: float
    deep_share: float
    generated: int


@dataclass(frozen=True, slots=True)
class AnswerCancelled:
    session: str
    question: str
    reason: CancelReason
    published: str = ""


@dataclass(frozen=True, slots=True)
class Overloaded:
    """A stated step of degradation was taken (or left, with ``action`` "recovered"), or touched some media.

    ``action`` "compression" keeps fewer tokens of a window, "frames" leaves half of its frames out, "windows" whole
    windows. The counts say what it touched just now, and are 0 when the step itself changes.
    """

    session: str
    action: str
    windows: int = 0
    frames: int = 0


@dataclass(frozen=True, slots=True)
class EngineRestarted:
    """The engine process was replaced; ``session`` was opened again from the windows still held."""

    session: str
    windows_refed: int
    windows_lost: int


@dataclass(frozen=True, slots=True)
class EngineFault:
    """The engine could not do something it was asked; the session goes on."""

    session: str
    code: str
    message: str
    remedy: str
    question: str | None = None


EngineEvent = (
    WindowFused
    | StoreEvicted
    | AnswerStarted
    | AnswerDelta
    | AnswerDone
    | AnswerCancelled
    | Overloaded
    | EngineRestarted
    | EngineFault
)


@dataclass(frozen=True, slots=True)
class EngineStats:
    """A snapshot for metrics; times in seconds, sizes in bytes."""

    sessions: int
    queued_windows: int
    running_answers: int
    oldest_window_age: float
    resident_bytes: int
    degradation: str = "none"
    per_session: dict[str, dict[str, float]] = field(default_factory=dict)
