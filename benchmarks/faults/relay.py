"""A bad network of the benchmark's own: a UDP relay between a camera and the gateway (the kernel may have no netem)."""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import dataclass
from typing import Any, Self, cast

_CANDIDATE = re.compile(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host.*", re.IGNORECASE)
_QUEUE_BYTES = 64_000
"""What a slow link holds before it drops: half a second at 1 Mbit/s, as a home router does."""

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Conditions:
    """Of one direction: share of packets lost, delay and the greatest deviation from it (s), rate (bit/s)."""

    loss: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    bits_per_s: float | None = None


PERFECT = Conditions()


class Line:
    """One direction. Pure: :meth:`arrival` says when a packet comes out, if it does. Times are seconds."""

    def __init__(self, conditions: Conditions, dice: random.Random) -> None:
        self.conditions = conditions
        self._dice = dice
        self._free_at = 0.0

    def arrival(self, now: float, size: int) -> float | None:
        """When a packet of ``size`` bytes sent ``now`` arrives; None if it is lost or the queue is full.

        Deviations are independent, so that packets overtake each other, as with netem.
        """
        conditions = self.conditions
        if self._dice.random() < conditions.loss:
            return None
        sent = now
        if conditions.bits_per_s is not None:
            begin = max(now, self._free_at)
            if (begin - now) * conditions.bits_per_s / 8 > _QUEUE_BYTES:
                return None
            sent = self._free_at = begin + 8 * size / conditions.bits_per_s
        return sent + max(0.0, conditions.delay_s + self._dice.uniform(-1, 1) * conditions.jitter_s)


class _Port(asyncio.DatagramProtocol):
    """One of the relay's two sockets."""

    def __init__(self, relay: Relay, line: Line) -> None:
        self.relay, self.line = relay, line
        self.peer: Address | None = None
        self.other: _Port
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no asyncio.DatagramTransport by class
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if self is self.relay.camera_side:
            self.peer = (addr[0], addr[1])  # the camera shows itself by its first packet
        loop = asyncio.get_running_loop()
        at = None if self.relay.is_cut else self.line.arrival(loop.time(), len(data))
        if at is None:
            self.relay.dropped += 1
            self.relay.dropping.set()
            return
        self.relay.carried += 1
        loop.call_at(at, self.other.send, data)

    def send(self, data: bytes) -> None:
        if self.peer is not None and not self.transport.is_closing():
            self.transport.sendto(data, self.peer)


class Relay:
    """Stands between one camera and the gateway, under the same conditions in both directions.

    ``is_cut`` may be set at any time: nothing passes then.
    """

    def __init__(self, conditions: Conditions, dice: random.Random) -> None:
        self.is_cut = False
        self.carried = self.dropped = 0
        self.dropping = asyncio.Event()
        """Set at the first packet that was dropped."""
        self.camera_side = _Port(self, Line(conditions, dice))
        self.gateway_side = _Port(self, Line(conditions, dice))
        self.camera_side.other, self.gateway_side.other = self.gateway_side, self.camera_side

    async def open(self, gateway: Address) -> Self:
        """Listen beside ``gateway``, the address to relay to."""
        loop = asyncio.get_running_loop()
        for port in (self.camera_side, self.gateway_side):
            await loop.create_datagram_endpoint(lambda port=port: port, local_addr=(gateway[0], 0))  # type: ignore[misc]
        self.gateway_side.peer = gateway
        return self

    @property
    def address(self) -> Address:
        """Where the camera sends to."""
        host, port, *_ = self.camera_side.transport.get_extra_info("sockname")
        return host, port

    def close(self) -> None:
        for port in (self.camera_side, self.gateway_side):
            port.transport.close()


def without_candidates(offer: str) -> str:
    """The offer as it must be sent, lest the gateway finds the direct way."""
    return "".join(line for line in offer.splitlines(keepends=True) if not line.startswith("a=candidate:"))


def gateway_of(answer: str) -> Address:
    """The first IPv4 host candidate of an answer. Raises ValueError without one."""
    for found in _CANDIDATE.finditer(answer):
        if ":" not in found[1]:
            return found[1], int(found[2])
    raise ValueError("the answer has no IPv4 host candidate")


def led_through(answer: str, address: Address) -> str:
    """The answer with ``address`` as its only candidate."""
    only = f"a=candidate:1 1 udp 2130706431 {address[0]} {address[1]} typ host\r\n"
    lines: list[str] = []
    for line in answer.splitlines(keepends=True):
        if not line.startswith("a=candidate:"):
            lines.append(line)
        elif lines[-1] != only:
            lines.append(only)
    return "".join(lines)
