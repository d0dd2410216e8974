"""When a camera counts as gone for good: ICE consent (RFC 7675), with media taken for an answer.

aioice closes a connection when six checks in a row (30 s) were not answered. ffmpeg's ``whip`` muxer answers none after
its handshake, so that every such camera would be cut off after half a minute, while it sends. Consent guards a peer
from traffic that it does not want; one that sends us authenticated media wants our reports on them.

With ``recovery``, ``restart`` and ``tap``, one of the modules that know private names, here aioice's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aioice.stun import TransactionError

_CHECK_S = 5.0
_EXPIRES_S = 30.0
"""RFC 7675 §5.1: consent lasts 30 s from the last sign of life."""

Sleep = Callable[[float], Awaitable[object]]


def keep(
    connection: Any, heard: Callable[[], float], monotonic: Callable[[], float], sleep: Sleep = asyncio.sleep
) -> None:
    """Before the connection connects: let it live while the peer answers checks or ``heard`` moves on.

    ``heard`` is when the last authenticated packet came, on the ``monotonic`` clock (seconds).
    """

    async def query_consent() -> None:
        alive = monotonic()
        while monotonic() - max(alive, heard()) < _EXPIRES_S:
            await sleep(_CHECK_S)
            if await _answers(connection):
                alive = monotonic()
        connection._query_consent_task = None  # it is this task; close() would cancel it
        await connection.close()

    connection.query_consent = query_consent


async def _answers(connection: Any) -> bool:
    """Whether the peer answers a check on the address in use."""
    key = connection.remote_password.encode()
    for pair in list(connection._nominated.values()):
        request = connection.build_request(pair, nominate=False)
        try:
            await pair.protocol.request(request, pair.remote_addr, integrity_key=key, retransmissions=0)
        except TransactionError:
            return False
    return True
