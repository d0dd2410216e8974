"""At which addresses media is received, and which of them the answer names."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import random
import socket

import ifaddr
from aioice import Candidate, Connection, TransportPolicy
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol
from aioice.turn import UDP_SOCKET_BUFFER_SIZE

from stream_service.errors import ServerFull
from stream_service.media.settings import MediaSettings


def bind(connection: Connection, settings: MediaSettings) -> None:
    """Gather at ``settings.bind``; without it, at all addresses of this host, or at loopback if it has no other.

    aioice 1.x takes every address but loopback and any port, and has no option for either; its method is replaced on
    this one connection.
    """
    if connection._transport_policy is TransportPolicy.RELAY:
        return  # aioice then gathers at no address of this host
    chosen = list(settings.bind) if settings.bind else [] if _reachable() else ["127.0.0.1"]
    gather, ports = connection.get_component_candidates, settings.udp_ports

    async def at_chosen(component: int, addresses: list[str]) -> list[Candidate]:
        hosts = chosen or addresses
        if ports is None:
            return list(await gather(component=component, addresses=hosts))
        here = [await _host(connection, component, address, ports) for address in hosts]
        # STUN would show the port that a NAT made up; a range of ports is for those who map it themselves.
        return [*here, *await gather(component=component, addresses=[])]

    connection.get_component_candidates = at_chosen


async def _host(connection: Connection, component: int, address: str, ports: tuple[int, int]) -> Candidate:
    """Receive at a free port of the range; raises ServerFull when there is none."""
    receiver = _free(address, ports)
    _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: StunProtocol(connection), sock=receiver
    )
    protocol.local_candidate = Candidate(
        foundation=candidate_foundation("host", "udp", address),
        component=component,
        transport="udp",
        priority=candidate_priority(component, "host"),
        host=address,
        port=receiver.getsockname()[1],
        type="host",
    )
    connection._protocols.append(protocol)
    return protocol.local_candidate


def _free(address: str, ports: tuple[int, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    count = ports[1] - ports[0] + 1
    begin = random.randrange(count)  # a camera that just left may still send to the port that it knew
    for step in range(count):
        receiver = socket.socket(family, socket.SOCK_DGRAM)
        try:
            receiver.bind((address, ports[0] + (begin + step) % count))
        except OSError as error:
            receiver.close()
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            receiver.setblocking(False)
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_SOCKET_BUFFER_SIZE)
            return receiver
    raise ServerFull(
        f"All UDP ports from {ports[0]} to {ports[1]} are in use.",
        remedy="Try again when a source has left; the operator can widen media.udp_ports.",
        retry_after=5.0,
    )


def _reachable() -> bool:
    """Whether this host has an address that is not loopback."""
    addresses = [ip.ip if isinstance(ip.ip, str) else ip.ip[0] for a in ifaddr.get_adapters() for ip in a.ips]
    return any(not ipaddress.ip_address(address).is_loopback for address in addresses)


def announce(sdp: str, settings: MediaSettings) -> str:
    """The answer as it is sent: with the bit rate asked of the camera and, behind NAT, the public address."""
    lines: list[str] = []
    in_video = False
    for line in sdp.splitlines():
        lines.append(line)
        if line.startswith("m="):
            in_video = line.startswith("m=video")
        if in_video and line.startswith("c="):
            lines.append(f"b=AS:{settings.max_video_kbps}")
        if settings.public_ip and line.startswith("a=candidate:"):
            lines += _public_candidate(line, settings.public_ip)
    return "\r\n".join(lines) + "\r\n"


def _public_candidate(line: str, address: str) -> list[str]:
    """A candidate line for ``address`` beside the host candidate ``line`` of the same family; none for other lines."""
    fields = line.split()
    if fields[7] != "host" or ipaddress.ip_address(fields[4]).version != ipaddress.ip_address(address).version:
        return []
    return [" ".join([f"a=candidate:{fields[0].removeprefix('a=candidate:')}p", *fields[1:4], address, *fields[5:]])]
