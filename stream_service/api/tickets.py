"""Tickets: what a page shows instead of its token where a browser lets it send nothing but an address.

A WebSocket opened by a page carries no headers of the page's choice, and addresses end up in proxies' logs. So the page
trades its token for a ticket to one session's answers, good once and for half a minute.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from stream_service.api.tokens import Client, digest_of
from stream_service.errors import Busy

LIFE_S = 30.0
_PER_CLIENT = 64


@dataclass(frozen=True, slots=True)
class _Ticket:
    session: str
    client: Client
    expires: float


class Tickets:
    """Those given out and not used yet; ``clock`` is monotonic, in seconds. Holds at most 64 a client."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: dict[str, _Ticket] = {}

    def issue(self, client: Client, session: str) -> str:
        """A ticket for ``client`` to the answers of ``session`` (as its route is written: id or name).

        Raises Busy when too many of the client's wait to be used.
        """
        now = self._clock()
        self._waiting = {key: ticket for key, ticket in self._waiting.items() if ticket.expires > now}
        if Counter(ticket.client.name for ticket in self._waiting.values())[client.name] >= _PER_CLIENT:
            raise Busy(
                f"{_PER_CLIENT} tickets of this client wait to be used.",
                remedy="Use them, or wait until they expire.",
                retry_after=LIFE_S,
            )
        ticket = secrets.token_urlsafe(24)
        self._waiting[digest_of(ticket)] = _Ticket(session, client, now + LIFE_S)
        return ticket

    def redeem(self, ticket: str, session: str) -> Client | None:
        """Whom it was given to; None when it is unknown, used, expired or for another session. It is used up then."""
        found = self._waiting.pop(digest_of(ticket), None)
        if found is None or found.expires <= self._clock() or found.session != session:
            return None
        return found.client
