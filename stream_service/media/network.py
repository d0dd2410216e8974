"""At which addresses media is received, and which of them the answer names."""

from __future__ import annotations

import ipaddress
from typing import Any

import ifaddr
from aioice import Connection

from stream_service.media.settings import MediaSettings


def bind(connection: Connection, addresses: tuple[str, ...]) -> None:
    """Gather candidates at ``addresses``; with none given, at all of this host's, or at loopback if it has no other.

    aioice 1.x takes every address but loopback and has no option for it; its method is replaced on this one connection.
    """
    chosen = list(addresses) if addresses else [] if _reachable() else ["127.0.0.1"]
    if not chosen:
        return
    gather = connection.get_component_candidates

    async def at_chosen(component: int, addresses: list[str]) -> Any:
        return await gather(component=component, addresses=chosen)

    connection.get_component_candidates = at_chosen


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
