"""ICE restart under a running DTLS session (RFC 8445 §2.4, RFC 9725 §4.3.3), which aiortc 1.16 does not have.

DTLS and SRTP do not care by which addresses their packets come. So a restart prepares a second aioice connection
beside the one in use, and puts it in its place once it is connected; until then, and if it never is, the old one goes
on. With ``consent``, ``recovery`` and ``tap``, one of the modules that know private names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aioice import Connection
from aiortc import RTCIceServer, RTCIceTransport
from aiortc.rtcicetransport import (
    RTCIceCandidate,
    candidate_from_aioice,
    candidate_to_aioice,
    connection_kwargs,
)
from aiortc.sdp import candidate_to_sdp

from stream_service.media.fragment import Fragment


def make_restartable(transport: RTCIceTransport) -> None:
    """Before the transport starts: let its packets follow its connection, whichever that is."""

    async def recv() -> bytes:
        while True:
            connection = transport._connection
            try:
                packet: bytes = await connection.recv()
            except ConnectionError:
                if transport._connection is connection:
                    raise
            else:
                return packet

    async def send(data: bytes) -> None:
        await transport._connection.send(data)

    transport._recv = recv
    transport._send = send


class Restart:
    """One restart: :meth:`prepare`, then :meth:`run` to its end, with :meth:`trickle` meanwhile.

    ``servers`` are the STUN and TURN servers to use (credentials may have expired since the first connection);
    ``outfit`` is given the new connection before it is used.
    """

    def __init__(
        self, transport: RTCIceTransport, servers: list[RTCIceServer], outfit: Callable[[Connection], None]
    ) -> None:
        self._transport = transport
        old: Any = transport._connection
        self._connection = Connection(
            ice_controlling=old.ice_controlling,
            transport_policy=old._transport_policy,
            **connection_kwargs(servers),
        )
        outfit(self._connection)

    async def prepare(self) -> tuple[str, str, list[str]]:
        """Gather; returns our new user name fragment, password, and candidates as SDP values."""
        await self._connection.gather_candidates()
        candidates = [candidate_to_sdp(candidate_from_aioice(c)) for c in self._connection.local_candidates]
        return self._connection.local_username, self._connection.local_password, candidates

    async def trickle(self, candidates: tuple[RTCIceCandidate, ...]) -> None:
        """Add candidates of the remote side."""
        for candidate in candidates:
            await self._connection.add_remote_candidate(candidate_to_aioice(candidate))

    async def run(self, remote: Fragment, limit_s: float) -> bool:
        """Connect within ``limit_s`` seconds and take over; False if that failed and the old connection goes on."""
        self._connection.remote_username, self._connection.remote_password = remote.ufrag, remote.password
        try:
            async with asyncio.timeout(limit_s):
                await self._connection.connect()
        except (ConnectionError, TimeoutError):
            await self._connection.close()
            return False
        except asyncio.CancelledError:
            await self._connection.close()
            raise
        await self._take_over()
        return True

    async def _take_over(self) -> None:
        transport, new = self._transport, self._connection
        old: Any = transport._connection
        # aiortc waits for the end of the connection in use; it must now hear of the new one's.
        new._event_waiter, old._event_waiter = old._event_waiter, None
        transport._connection = transport.iceGatherer._connection = new
        await old.close()
