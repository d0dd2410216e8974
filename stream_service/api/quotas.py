"""What one client may take of the server, so that it leaves something for the others."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stream_service.api.settings import ServerSettings
from stream_service.api.tokens import Client
from stream_service.errors import Busy

_MINUTE_S = 60.0


class Quotas:
    """Counts by client name; there are as many names as tokens, so nothing here grows without bound."""

    def __init__(self, settings: ServerSettings, clock: Callable[[], float]) -> None:
        self._sessions = settings.client_sessions
        self._questions = settings.client_questions_per_minute
        self._clock = clock
        self._sockets = settings.client_sockets
        self._publishing: Counter[str] = Counter()
        self._subscribed: Counter[str] = Counter()
        self._asked: dict[str, deque[float]] = {}

    @contextmanager
    def publishing(self, client: Client, owned: int) -> Iterator[None]:
        """Around the opening of a session by a client that has ``owned`` of them; raises Busy when that is too many."""
        if owned + self._publishing[client.name] >= self._sessions:
            raise Busy(
                f"This client has {self._sessions} sessions open already.",
                remedy="End one of them; the operator can raise server.client_sessions.",
                retry_after=30.0,
            )
        self._publishing[client.name] += 1
        try:
            yield
        finally:
            self._publishing[client.name] -= 1

    @contextmanager
    def subscribing(self, client: Client) -> Iterator[None]:
        """Around an answer WebSocket; raises Busy when the client has too many."""
        if self._subscribed[client.name] >= self._sockets:
            raise Busy(
                f"This client has {self._sockets:,} answer WebSockets open already.",
                remedy="Close some of them; the operator can raise server.client_sockets.",
                retry_after=30.0,
            )
        self._subscribed[client.name] += 1
        try:
            yield
        finally:
            self._subscribed[client.name] -= 1

    def ask(self, client: Client) -> None:
        """Count a question; raises Busy past the client's number for the last minute."""
        now = self._clock()
        asked = self._asked.setdefault(client.name, deque(maxlen=self._questions))
        if len(asked) == self._questions and now - asked[0] < _MINUTE_S:
            raise Busy(
                f"This client has asked {self._questions} questions in the last minute.",
                remedy="Wait a little; the operator can raise server.client_questions_per_minute.",
                retry_after=_MINUTE_S - (now - asked[0]),
            )
        asked.append(now)
