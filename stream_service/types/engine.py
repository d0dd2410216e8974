"""What is asked of the engine, and everything that it says."""

from __future__ import annotations

from dataclasses import dataclass, field

from stream_service.types.questions import CancelReason


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
class EngineInfo:
    """What the running engine is, for the page and for the operator.

    ``budget`` is the most that a session may have. ``window_tokens`` is the mean that a window of 2 s with picture and
    sound adds to a session's memory. A question in words may have ``question_tokens``; ``spoken_questions`` says
    whether speech itself can ask. ``tokenizer`` is the path of the model's ``tokenizer.json``, where it has one.
    """

    model: str
    device: str
    layers: int
    fusion_depth: int
    frame_size: tuple[int, int]
    budget: int
    deep_share: float
    session_bytes: int
    max_sessions: int
    window_tokens: float
    question_tokens: int
    spoken_questions: bool = False
    tokenizer: str | None = None


@dataclass(frozen=True, slots=True)
class ModalityCounts:
    """Tokens by modality."""

    video: int
    audio: int


@dataclass(frozen=True, slots=True)
class WindowFused:
    """``wait_ms`` is what passed since the engine got the window, beside encoding and fusing it.

    ``shared`` seconds of the picture stood still and were not encoded.
    """

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
    wait_ms: float = 0.0
    shared: int = 0


@dataclass(frozen=True, slots=True)
class StoreEvicted:
    session: str
    tokens: int
    chunks_thinned: int
    coverage: float


@dataclass(frozen=True, slots=True)
class Resized:
    """A session may keep ``budget`` tokens from now on, in at most ``session_bytes``; it holds ``store_tokens``."""

    session: str
    budget: int
    session_bytes: int
    store_tokens: int
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
class AnswerRestarted:
    """The engine was lost while the question was open; it is asked again, once. What was ``published`` is void."""

    session: str
    question: str
    published: str = ""


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
class Span:
    """Consecutive windows by their index, both ends included."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class EngineRestarted:
    """The engine process was replaced; ``session`` is rebuilt from the windows still held, the others are ``lost``."""

    session: str
    windows_refed: int
    lost: tuple[Span, ...] = ()


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
    | Resized
    | AnswerStarted
    | AnswerDelta
    | AnswerDone
    | AnswerRestarted
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
