"""Why sessions end, each in a stable code and in words."""

from __future__ import annotations

from dataclasses import dataclass

from stream_service.types import CancelReason, SessionEnd


@dataclass(frozen=True, slots=True)
class Ending:
    """``cancel`` is what its open questions are told."""

    code: SessionEnd
    reason: str
    cancel: CancelReason = CancelReason.SESSION_CLOSED


BY_CLIENT = Ending(SessionEnd.CLIENT, "closed by a client")
SOURCE_ENDED = Ending(SessionEnd.SOURCE_ENDED, "the source ended")
SOURCE_LOST = Ending(SessionEnd.SOURCE_LOST, "the source did not come back")
NOT_NEGOTIATED = Ending(SessionEnd.NOT_NEGOTIATED, "its source could not be negotiated")
SHUTDOWN = Ending(SessionEnd.SHUTDOWN, "the server stopped", CancelReason.SHUTDOWN)
INTERNAL = Ending(SessionEnd.INTERNAL, "an internal error")


def idle(seconds: float) -> Ending:
    """No media came for so long."""
    return Ending(SessionEnd.IDLE, f"no media for {seconds:g} s")


def not_resumed(why: str) -> Ending:
    """The engine did not take it any more."""
    return Ending(SessionEnd.NOT_RESUMED, f"it could not go on after a restart: {why}")
