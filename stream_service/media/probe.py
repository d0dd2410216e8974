"""Asks a STUN or TURN server whether it works, as a peer would."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import parse_qs

from aioice import stun, turn

from stream_service.errors import StartupError
from stream_service.media.settings import IceServer

_URL = re.compile(r"(stun|turns?):(\[[^\]]+\]|[^:?]+)(?::(\d+))?(?:\?(.*))?")
_PORTS = {"stun": 3478, "turn": 3478, "turns": 5349}


async def relay(server: IceServer, url: str, timeout_s: float) -> str:
    """The address that the server at ``url`` relays by (TURN) or sees us at (STUN); raises StartupError."""
    found = _URL.fullmatch(url)
    if found is None:
        raise StartupError(f"{url} is no STUN or TURN URL.", remedy="Write turn:HOST:PORT?transport=udp.")
    scheme, host, port, query = found.groups()
    address = (host.strip("[]"), int(port or _PORTS[scheme]))
    transport = parse_qs(query or "").get("transport", ["udp"])[0]
    try:
        async with asyncio.timeout(timeout_s):
            if scheme == "stun":
                return await _reflected(address)
            allocated, _ = await turn.create_turn_endpoint(
                asyncio.DatagramProtocol,
                address,
                server.username,
                server.credential,
                ssl=scheme == "turns" or None,
                transport="tcp" if scheme == "turns" else transport,
            )
            name = allocated.get_extra_info("sockname")
            allocated.close()
            return f"{name[0]}:{name[1]}"
    except stun.TransactionFailed as error:
        reason = f"refused by it ({error.response.attributes.get('ERROR-CODE', ('', 'no reason given'))[1]})"
    except (TimeoutError, stun.TransactionTimeout):
        reason = "no answer"
    except OSError as error:
        reason = error.strerror or str(error)
    raise StartupError(
        f"{scheme}:{host}:{address[1]} does not work: {reason}.",
        remedy="Check that it runs, that its port is open, and that it shares media.turn_secret.",
    )


async def _reflected(address: tuple[str, int]) -> str:
    class Asker(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def datagram_received(self, data: bytes, _: object) -> None:
            if not self.answer.done():
                self.answer.set_result(data)

    transport, asker = await asyncio.get_running_loop().create_datagram_endpoint(Asker, remote_addr=address)
    try:
        mapped = stun.parse_message(await _asked(transport, asker.answer)).attributes["XOR-MAPPED-ADDRESS"]
    except (KeyError, ValueError):
        raise OSError("it answered something else") from None
    finally:
        transport.close()
    return f"{mapped[0]}:{mapped[1]}"


async def _asked(transport: asyncio.DatagramTransport, answer: asyncio.Future[bytes]) -> bytes:
    """Sends a binding request until it is answered: one datagram may be lost (RFC 8489 §6.2.1)."""
    request = bytes(stun.Message(stun.Method.BINDING, stun.Class.REQUEST))
    wait_s = 0.5
    while True:
        transport.sendto(request)
        try:
            return await asyncio.wait_for(asyncio.shield(answer), wait_s)
        except TimeoutError:
            wait_s *= 2
