"""The states of a session, and the only ways between them."""

from __future__ import annotations

from enum import Enum


class SessionState(Enum):
    """Where a session is in its life."""

    OPENING = "opening"
    """Known, but no source has been negotiated yet."""
    LIVE = "live"
    LOST = "lost"
    """Its source is gone and may come back within the grace time; its memory can still be asked."""
    CLOSED = "closed"


_NEXT = {
    SessionState.OPENING: {SessionState.LIVE, SessionState.LOST, SessionState.CLOSED},
    SessionState.LIVE: {SessionState.LOST, SessionState.CLOSED},
    SessionState.LOST: {SessionState.LIVE, SessionState.CLOSED},
    SessionState.CLOSED: set[SessionState](),
}


class LifecycleError(RuntimeError):
    """A transition that must not happen: a mistake in this program, not of a client."""


class Lifecycle:
    """A session's state, changed only along the allowed transitions."""

    def __init__(self) -> None:
        self.state = SessionState.OPENING

    def to(self, state: SessionState) -> None:
        if state not in _NEXT[self.state]:
            raise LifecycleError(f"a session cannot go from {self.state.value} to {state.value}")
        self.state = state

    def can(self, state: SessionState) -> bool:
        return state in _NEXT[self.state]
