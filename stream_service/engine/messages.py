"""What travels between the gateway and the engine process, beside the events of :mod:`stream_service.types`."""

from __future__ import annotations

from dataclasses import dataclass

from stream_service import errors
from stream_service.engine.packing import PackedWindow
from stream_service.engine.settings import EngineSettings
from stream_service.types import CancelReason, EngineEvent, EngineInfo, EngineStats, Question, SessionSettings, Window


@dataclass(frozen=True, slots=True)
class ErrorFacts:
    """An :class:`~stream_service.errors.OmniDropError` as data, since exceptions do not travel well."""

    kind: str
    message: str
    remedy: str
    field: str | None
    retry_after: float | None

    @classmethod
    def of(cls, error: errors.OmniDropError) -> ErrorFacts:
        return cls(type(error).__name__, error.message, error.remedy, error.field, error.retry_after)

    def error(self) -> errors.OmniDropError:
        kind: type[errors.OmniDropError] = getattr(errors, self.kind)
        return kind(self.message, remedy=self.remedy, field=self.field, retry_after=self.retry_after)


# ---- gateway → engine


@dataclass(frozen=True, slots=True)
class Prepare:
    """First message to a spare: load the libraries with this niceness (0…19), and wait for :class:`Start`."""

    niceness: int


@dataclass(frozen=True, slots=True)
class Start:
    """Load the model."""

    settings: EngineSettings


@dataclass(frozen=True, slots=True)
class Open:
    """Open a session; ``rejoin`` skips admission, for sessions that were running before a restart."""

    session: str
    settings: SessionSettings
    rejoin: bool = False


@dataclass(frozen=True, slots=True)
class Resize:
    """Change a session's budget, once no answer of it runs. Ends in a ``Resized`` event or :class:`NotResized`."""

    session: str
    budget: int


@dataclass(frozen=True, slots=True)
class Feed:
    """A window as it comes, or packed when it was kept."""

    window: Window | PackedWindow


@dataclass(frozen=True, slots=True)
class Asked:
    """On the machine's monotonic clock, in seconds: the gateway got the question ``at``, and sends it at ``sent``.

    Between them no engine was there; the question's time runs from ``sent``, its latency from ``at``.
    """

    question: Question
    closing: tuple[Window, ...]
    at: float
    sent: float


@dataclass(frozen=True, slots=True)
class Cancel:
    session: str
    question: str
    reason: CancelReason


@dataclass(frozen=True, slots=True)
class Close:
    session: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Finish the answers asked so far within ``drain_s`` seconds, then exit."""

    drain_s: float


Command = Prepare | Start | Open | Resize | Feed | Asked | Cancel | Close | Stop


# ---- engine → gateway


@dataclass(frozen=True, slots=True)
class Prepared:
    """The libraries are loaded."""


@dataclass(frozen=True, slots=True)
class Ready:
    info: EngineInfo


@dataclass(frozen=True, slots=True)
class Failed:
    """The engine cannot start, and will exit."""

    error: ErrorFacts


@dataclass(frozen=True, slots=True)
class Opened:
    """The session is open and takes at most ``session_bytes``, or cannot be."""

    session: str
    error: ErrorFacts | None = None
    session_bytes: int = 0


@dataclass(frozen=True, slots=True)
class NotResized:
    """The session's budget stays what it was."""

    session: str
    error: ErrorFacts


@dataclass(frozen=True, slots=True)
class Closed:
    session: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Sent about once a second between batches; its absence means that the process hangs."""

    stats: EngineStats


Reply = Prepared | Ready | Failed | Opened | NotResized | Closed | Heartbeat | EngineEvent
