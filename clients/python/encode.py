"""VP8 and Opus for real-time sending. A packet's time stamp is the media time of its content, to the tick.

Packets are made ahead and sent when they are due. (Were aiortc to encode, its sender reports would date a picture by
the moment at which its encoding happened to end, and a receiver would see sound and picture apart by that much.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import av
from av.audio.codeccontext import AudioCodecContext
from av.packet import Packet as AnyPacket
from av.video.codeccontext import VideoCodecContext

from clients.python.source import SOUND_RATE, Pcm, Picture

VIDEO_RATE = 90_000
_VIDEO_BASE, _SOUND_BASE = Fraction(1, VIDEO_RATE), Fraction(1, SOUND_RATE)
Packet: TypeAlias = "AnyPacket[Any]"  # generic for type checkers only
_LONGEST_SIDE = 1280
_VIDEO_BITS, _SOUND_BITS = 1_200_000, 48_000
_KEY_FRAME = 2 * VIDEO_RATE
"""Ticks between whole pictures: ready packets cannot be made whole when a receiver that lost the picture asks."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A packet that is due at media second ``at``."""

    at: float
    packet: Packet


class VideoEncoder:
    """Pictures to VP8, all at the size of the first one (at most 1280 pixels wide or high)."""

    def __init__(self) -> None:
        self._codec: VideoCodecContext | None = None
        self._last = -1
        self._key = -_KEY_FRAME

    def push(self, picture: Picture) -> Iterator[Timed]:
        codec = self._codec or self._open(picture.frame)
        stamp = round(picture.at * VIDEO_RATE)
        if stamp <= self._last:
            return  # two pictures of one instant: the first one stands
        self._last = stamp
        frame = picture.frame.reformat(codec.width, codec.height, "yuv420p")
        frame.pts, frame.time_base = stamp, _VIDEO_BASE
        due = stamp - self._key >= _KEY_FRAME
        frame.pict_type = av.video.frame.PictureType.I if due else av.video.frame.PictureType.NONE
        self._key = stamp if due else self._key
        for packet in codec.encode(frame):
            yield _timed(packet, _VIDEO_BASE)

    def _open(self, frame: av.VideoFrame) -> VideoCodecContext:
        scale = min(1.0, _LONGEST_SIDE / max(frame.width, frame.height))
        codec = av.CodecContext.create("libvpx", "w")
        codec.width, codec.height = (max(2, int(side * scale) // 2 * 2) for side in (frame.width, frame.height))
        codec.pix_fmt, codec.time_base = "yuv420p", _VIDEO_BASE
        codec.bit_rate, codec.thread_count = _VIDEO_BITS, 1
        codec.options = {
            "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "error-resilient": "1", "auto-alt-ref": "0",
        }  # fmt: skip
        self._codec = codec
        return codec


class OpusEncoder:
    """Blocks of 20 ms to Opus."""

    def __init__(self) -> None:
        codec: AudioCodecContext = av.CodecContext.create("libopus", "w")
        codec.format, codec.layout, codec.sample_rate = "s16", "mono", SOUND_RATE
        codec.bit_rate, codec.time_base = _SOUND_BITS, _SOUND_BASE
        codec.options = {"application": "audio"}
        self._codec = codec

    def push(self, first: int, block: Pcm) -> Iterator[Timed]:
        """``first`` is the number of the block's first sample. The encoder's own delay is part of its stamps."""
        frame = av.AudioFrame.from_ndarray(block[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, first, _SOUND_BASE
        for packet in self._codec.encode(frame):
            yield _timed(packet, _SOUND_BASE)


def _timed(packet: Packet, base: Fraction) -> Timed:
    packet.time_base = base
    return Timed(float((packet.pts or 0) * base), packet)
