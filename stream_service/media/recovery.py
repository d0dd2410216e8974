"""Keeping a lossy or overloaded track live. With ``tap`` and ``restart``, one of the modules that know aiortc's
private names.

What aiortc 1.16 does, and what is done here instead:

- It asks once for a lost video packet, then waits for it behind 512 others (at 1 Mbit/s five seconds without a picture)
  and goes on with pictures that refer to what was lost. Here the packet is asked for again, then given up.
- Once a late packet has come, its jitter buffer still gives out one frame for each packet that arrives, so that all
  that waited stays late for ever. Here all that is complete is given out at once.
- It holds four packets of sound (80 ms) for a steady playout, and sixteen behind a loss, of which it drops the one
  before it too. Nothing is played here: sound is given out as it comes, and a lost packet holds up eight others.
- Its queue to the decoder has no end, so that a machine that is too slow falls ever further behind. Here a decoder that
  is behind loses what it has not begun.
- It decodes a picture of any size. Here one that would not be used is not decoded.

Where pictures were lost, decoding goes on from a key frame, which the camera is asked for.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

from aiortc.jitterbuffer import JitterFrame
from aiortc.utils import uint16_add, uint16_gt

from stream_service.media.declared import picture_size

_ASK_S = 0.12
"""A lost packet is asked for again after this long, and again."""
_GIVE_UP_S = 0.6
"""A lost packet that has not come after this long is not waited for."""
_BACKLOG = 45
"""Encoded frames that may wait for the decoder: 1.5 s at 30 fps."""
_SOUND_PACKETS = 8
"""Packets of sound that wait for one out of order; then it is not waited for."""
_MACROBLOCK = 16
"""Pixels by which a declared side may be rounded up."""
_MISORDER = 100
"""Sequence numbers further off than this begin anew."""
_PATIENCE = 90
"""Frames dropped in wait of a key frame, after which a sender that does not answer is decoded as it comes."""


class DecoderQueue(queue.Queue[Any]):
    """aiortc's queue of ``(codec, frame)`` to a decoder (None ends it), bounded: when full, all that wait are dropped,
    and what follows too, up to the next key frame. A picture of more than ``max_pixels`` never reaches the decoder.
    """

    def __init__(self, ask_key_frame: Callable[[], None], max_pixels: int) -> None:
        super().__init__()
        self._ask_key_frame = ask_key_frame
        self._max_pixels = max_pixels
        self._waited: int | None = None
        self.dropped = 0

    def await_key_frame(self) -> None:
        """Drop frames from here to the next key frame, and ask for one."""
        if self._waited is None:
            self._waited = 0
            self._ask_key_frame()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Add a frame, or drop it; never blocks."""
        if item is None:
            super().put(None)
            return
        if self.qsize() >= _BACKLOG:
            with self.mutex:
                self.dropped += len(self.queue)
                self.queue.clear()
            self.await_key_frame()
        if self._is_too_large(*item):
            self.await_key_frame()
            self.dropped += 1
            return
        if self._waited is not None and not self._resumes(*item):
            self.dropped += 1
            return
        super().put(item)

    def _is_too_large(self, codec: Any, frame: Any) -> bool:
        size = picture_size(codec.name, frame.data)
        return size is not None and (size[0] - _MACROBLOCK) * (size[1] - _MACROBLOCK) >= self._max_pixels

    def _resumes(self, codec: Any, frame: Any) -> bool:
        assert self._waited is not None
        self._waited += 1
        if self._waited > _PATIENCE or is_key_frame(codec.name, frame.data):
            self._waited = None
            return True
        if self._waited % 30 == 0:
            self._ask_key_frame()
        return False


def is_key_frame(codec: str, data: bytes) -> bool:
    """Whether an encoded frame can be decoded alone: VP8 by its tag (RFC 6386 §9.1), H.264 by IDR; all sound."""
    if codec.upper() == "VP8":
        return bool(data) and not data[0] & 1
    return codec.upper() != "H264" or any(part[0] & 0x1F == 5 for part in data.split(b"\x00\x00\x01")[1:] if part)


class SoundBuffer:
    """In the place of aiortc's jitter buffer for sound, where a packet is a frame: puts packets in order, bounded."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._waiting: dict[int, Any] = {}

    def add(self, packet: Any) -> tuple[bool, JitterFrame | None]:
        """Take a packet; returns, as aiortc wants it, whether to ask for a key frame and the next frame if any."""
        seq = packet.sequence_number
        if self._next is None or uint16_add(seq, -self._next) in range(_MISORDER, (1 << 16) - _MISORDER):
            self._next, self._waiting = seq, {}
        if seq == self._next or uint16_gt(seq, self._next):
            self._waiting[seq] = packet
        return False, self.pop()

    def pop(self) -> JitterFrame | None:
        """The next frame, once it came or enough came after it; None otherwise."""
        if self._next is None or not self._waiting:
            return None
        if self._next not in self._waiting and len(self._waiting) >= _SOUND_PACKETS:
            start = self._next
            self._next = min(self._waiting, key=lambda seq: uint16_add(seq, -start))
        packet = self._waiting.pop(self._next, None)
        if packet is None:
            return None
        self._next = uint16_add(self._next, 1)
        return JitterFrame(packet._data, packet.timestamp)


class _Mender:
    """Watches the first hole in a receiver's video jitter buffer."""

    def __init__(self, receiver: Any, decoder: DecoderQueue, monotonic: Callable[[], float]) -> None:
        self._receiver = receiver
        self._decoder = decoder
        self._monotonic = monotonic
        self._hole: int | None = None
        self._since = self._asked = 0.0

    async def after(self) -> None:
        """A packet was taken in: ask again for the missing one that holds up all others, or give it up."""
        nack = self._receiver._RTCRtpReceiver__nack_generator
        if not nack.missing and self._hole is None:
            return
        buffer = self._receiver._RTCRtpReceiver__jitter_buffer
        hole, now = _first_hole(buffer, nack.max_seq), self._monotonic()
        if hole != self._hole:
            self._catch_up(buffer)
            self._hole, self._since, self._asked = hole, now, now
        if hole is None:
            return
        if now - self._since >= _GIVE_UP_S:
            self._skip(buffer, hole, nack)
        elif now - self._asked >= _ASK_S:
            self._asked = now
            newest = buffer._packets[nack.max_seq % buffer.capacity]
            await self._receiver._send_rtcp_nack(newest.ssrc, sorted(nack.missing))

    def _catch_up(self, buffer: Any) -> None:
        """Give out all that is complete, not one frame for each packet that comes."""
        first = buffer._packets[buffer._origin % buffer.capacity]
        if first is not None:
            codec = self._receiver._RTCRtpReceiver__codecs[first.payload_type]
            _give_out(self._receiver, self._decoder, codec, lambda: buffer._remove_frame(0))

    def _skip(self, buffer: Any, hole: int, nack: Any) -> None:
        """Go on at the first frame after the hole whose beginning is sure to be there."""
        seq = uint16_add(hole, 1)
        while uint16_gt(nack.max_seq, seq):
            one, two = (buffer._packets[s % buffer.capacity] for s in (seq, uint16_add(seq, 1)))
            seq = uint16_add(seq, 1)
            if one is not None and two is not None and one.timestamp != two.timestamp:
                buffer.remove(uint16_add(seq, -buffer._origin))
                nack.missing = {m for m in nack.missing if uint16_gt(m, seq)}
                self._hole = None
                self._decoder.await_key_frame()
                return


def _first_hole(buffer: Any, newest: int) -> int | None:
    """Sequence number of the first packet that a jitter buffer waits for although later ones came; None without."""
    seq = buffer._origin
    while buffer._packets[seq % buffer.capacity] is not None and seq != newest:
        seq = uint16_add(seq, 1)
    return None if seq == newest or uint16_gt(seq, newest) else int(seq)


def _give_out(receiver: Any, decoder: DecoderQueue, codec: Any, pop: Callable[[], JitterFrame | None]) -> None:
    """Pass all complete frames of the jitter buffer on to the decoder."""
    while (frame := pop()) is not None:
        frame.timestamp = receiver._RTCRtpReceiver__timestamp_mapper.map(frame.timestamp)
        decoder.put((codec, frame))


def guard(receiver: Any, kind: str, monotonic: Callable[[], float], max_pixels: int) -> DecoderQueue:
    """Before a receiver starts: bound what waits for its decoder and how long anything waits for a lost packet, and
    keep pictures of more than ``max_pixels`` from it.
    """
    decoder = DecoderQueue(receiver._RTCRtpReceiver__decoder_error.set, max_pixels)
    receiver._RTCRtpReceiver__decoder_queue = decoder
    handle = receiver._handle_rtp_packet

    if kind == "video":
        mender = _Mender(receiver, decoder, monotonic)

        async def rtp(packet: Any, arrival_time_ms: int) -> None:
            await handle(packet, arrival_time_ms=arrival_time_ms)
            await mender.after()
    else:
        buffer = receiver._RTCRtpReceiver__jitter_buffer = SoundBuffer()

        async def rtp(packet: Any, arrival_time_ms: int) -> None:
            await handle(packet, arrival_time_ms=arrival_time_ms)
            codec = receiver._RTCRtpReceiver__codecs.get(packet.payload_type)
            _give_out(receiver, decoder, codec, buffer.pop)

    receiver._handle_rtp_packet = rtp
    return decoder
