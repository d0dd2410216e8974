"""Messages over a local stream socket: pickle protocol 5, with array memory out of band so that it is not copied twice.

A frame is ``u32 n``, then ``n`` lengths as ``u64``, then the ``n`` parts: the pickle and its buffers. Only the gateway
and the process that it started itself share the socket, so unpickling is safe.
"""

from __future__ import annotations

import math
import pickle
import select
import socket
import struct
from collections.abc import Iterator
from typing import Any

_COUNT = struct.Struct("<I")
_READ = 1 << 20


def encode(message: object) -> list[bytes | memoryview]:
    """The parts of a frame, to be written one after the other. Arrays are referred to, not copied."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
    parts: list[bytes | memoryview] = [head, *(buffer.raw() for buffer in buffers)]
    lengths = struct.pack(f"<{len(parts)}Q", *(len(part) for part in parts))
    return [_COUNT.pack(len(parts)) + lengths, *parts]


class Decoder:
    """Bytes in, messages out. Holds at most one unfinished frame."""

    def __init__(self) -> None:
        self._parts: list[bytearray] = []
        self._filled = 0
        self._expect([_COUNT.size])
        self._stage = self._on_count

    def push(self, data: bytes) -> list[Any]:
        """Messages completed by ``data``, in order."""
        messages: list[Any] = []
        view = memoryview(data)
        while True:
            view = self._fill(view)
            if self._index < len(self._parts):
                return messages
            messages += self._stage()

    def _expect(self, lengths: list[int]) -> None:
        self._parts = [bytearray(length) for length in lengths]
        self._index, self._filled = 0, 0

    def _fill(self, view: memoryview) -> memoryview:
        while self._index < len(self._parts):
            part = self._parts[self._index]
            take = min(len(part) - self._filled, len(view))
            part[self._filled : self._filled + take] = view[:take]
            self._filled += take
            view = view[take:]
            if self._filled < len(part):
                break
            self._index, self._filled = self._index + 1, 0
        return view

    def _on_count(self) -> list[Any]:
        (count,) = _COUNT.unpack(self._parts[0])
        self._expect([8 * count])
        self._stage = self._on_lengths
        return []

    def _on_lengths(self) -> list[Any]:
        packed = self._parts[0]
        self._expect(list(struct.unpack(f"<{len(packed) // 8}Q", packed)))
        self._stage = self._on_parts
        return []

    def _on_parts(self) -> list[Any]:
        head, *buffers = self._parts
        message = pickle.loads(head, buffers=buffers)
        self._expect([_COUNT.size])
        self._stage = self._on_count
        return [message]


class Channel:
    """The engine's blocking end. The gateway's end is an asyncio protocol in :mod:`stream_service.engine.client`."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        self._socket = sock
        self._decoder = Decoder()

    def send(self, message: object) -> None:
        """Writes one message; waits for a gateway that is slow to read.

        Raises:
            OSError: the gateway is gone.
        """
        for part in encode(message):
            self._socket.sendall(part)

    def receive(self, timeout: float) -> Iterator[Any]:
        """Messages that are there, waiting at most ``timeout`` seconds (or for ever: ``inf``) for the first.

        Raises:
            EOFError: the gateway is gone.
        """
        while select.select([self._socket], [], [], None if timeout == math.inf else max(0.0, timeout))[0]:
            data = self._socket.recv(_READ)
            if not data:
                raise EOFError("the gateway closed the channel")
            if messages := self._decoder.push(data):
                timeout = 0.0
            yield from messages
