"""Ports for servers that tests and benchmarks start, kill and start again."""

from __future__ import annotations

import random
import socket
from contextlib import closing
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_WIDTH = 10_000


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of the loopback that nothing uses now, and that stays free until it is bound.

    It lies below the range from which the kernel gives ports to connections. In that range another connection may take
    it before the server does (again). Worse: of those who wait for the server by connecting again and again, one is
    in the end given the very port that it connects to; it is then connected with itself, and holds the port.

    Raises:
        OSError: a hundred ports drawn at random are all in use.
    """
    try:
        first = int(_RANGE.read_text(encoding="ascii").split()[0])
    except OSError:
        first = 49_152  # not Linux: RFC 6335 §6
    draw = random.SystemRandom()
    for _ in range(100):
        port = draw.randrange(max(1_024, first - _WIDTH), first)
        with closing(socket.socket(socket.AF_INET, kind)) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                last = error
            else:
                return port
    raise last
