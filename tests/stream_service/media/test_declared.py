"""The size that an encoded picture declares, from real encoders, and from liars."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_service.media.declared import picture_size


def encoded(encoder: str, width: int, height: int, pix_fmt: str = "yuv420p", **options: str) -> list[bytes]:
    """Two pictures, the first one whole."""
    codec: Any = av.CodecContext.create(encoder, "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = width, height, pix_fmt, Fraction(1, 30)
    codec.options = options
    packets = []
    for number in range(2):
        frame = av.VideoFrame(width, height, pix_fmt)
        frame.pts = number
        packets += codec.encode(frame)
    return [bytes(packet) for packet in packets + codec.encode(None)]


@pytest.mark.parametrize("size", [(640, 480), (176, 144), (1281, 723)])
def test_vp8_tells_it_in_every_key_frame(size: tuple[int, int]) -> None:
    key, delta = encoded("libvpx", *size, **{"lag-in-frames": "0", "deadline": "realtime", "cpu-used": "8"})
    assert picture_size("VP8", key) == size
    assert picture_size("VP8", delta) is None
    assert picture_size("VP8", key[:6] + b"\xff\x3f\xff\xff" + key[10:]) == (16_383, 16_383)


@pytest.mark.parametrize(
    ("pix_fmt", "options"),
    [
        ("yuv420p", {"profile": "baseline"}),
        ("yuv420p", {"profile": "main", "x264-params": "interlaced=1"}),
        ("yuv420p", {"profile": "high", "x264-params": "cqm=jvt"}),
        ("yuv444p", {"profile": "high444"}),
    ],
)
@pytest.mark.parametrize(("size", "coded"), [((640, 480), (640, 480)), ((1920, 1080), (1920, 1088))])
def test_h264_tells_it_in_every_profile(
    pix_fmt: str, options: dict[str, str], size: tuple[int, int], coded: tuple[int, int]
) -> None:
    key, delta = encoded("libx264", *size, pix_fmt, preset="ultrafast", tune="zerolatency", **options)
    assert picture_size("H264", key) == coded
    assert picture_size("H264", delta) is None


def ue(value: int) -> str:
    """An Exp-Golomb code."""
    code = f"{value + 1:b}"
    return "0" * (len(code) - 1) + code


def test_h264_tells_it_behind_scaling_lists_and_cycles_of_order_counts() -> None:
    lists = "1" + "1" + ue(0) * 16  # present; the first one: no change from its default, 16 times
    lists += "1" + ue(16)  # the second one: 8 less than its default, which ends it
    lists += "0" * 4 + "1" + ue(1) * 64 + "0"  # four left out, one of 64, one left out
    order = ue(1) + "0" + ue(0) + ue(3) + ue(2) + ue(4) + ue(5)
    bits = "01100100" + "0" * 8 + "00011110" + ue(0) + ue(1) + ue(0) + ue(0) + "0" + lists + ue(0) + order
    bits += ue(1) + "0" + ue(39) + ue(29) + "1"
    bits += "0" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big")
    assert picture_size("H264", b"\x00\x00\x01\x67" + data) == (640, 480)


def test_sound_has_no_size() -> None:
    assert picture_size("opus", b"\x00" * 20) is None


def test_what_cannot_be_read_is_not_small() -> None:
    assert picture_size("H264", b"\x00\x00\x01\x67") == (1 << 16, 1 << 16)
    assert picture_size("H264", b"\x00\x00\x01\x67\x42\x00\x1e" + b"\x00" * 40) == (1 << 16, 1 << 16)


@given(st.sampled_from(["VP8", "H264"]), st.binary(max_size=80))
def test_no_frame_is_too_odd_to_look_at(codec: str, data: bytes) -> None:
    for frame in (data, b"\x00\x00\x01\x67" + data):
        size = picture_size(codec, frame)
        assert size is None or min(size) >= 0
