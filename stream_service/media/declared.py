"""How large a picture an encoded frame says it is, read before a decoder takes memory for it.

A decoder trusts the size that a frame declares: 3 kB that say 16383 x 16383 cost libvpx 900 MB and a second.
"""

from __future__ import annotations

import re

_SEQUENCE = re.compile(rb"\x00\x00\x01[\x07\x27\x47\x67]")
"""The start of an H.264 sequence parameter set: NAL unit type 7, of any importance (ITU-T H.264 §7.3.1)."""
_LONGEST_SEQUENCE = 512
_WITH_CHROMA = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
"""Profiles whose sequence parameter sets tell of chroma and bit depth."""


def picture_size(codec: str, data: bytes) -> tuple[int, int] | None:
    """Width and height that a frame of ``codec`` (VP8 or H264) declares; None when it declares none.

    H.264's are rounded up to whole macroblocks (pairs of them where fields are coded); a set that cannot be read
    counts as endless. Of several the largest.
    """
    match codec.upper():
        case "VP8":
            return _vp8(data)
        case "H264":
            sizes = [_h264(data[found.end() : found.end() + _LONGEST_SEQUENCE]) for found in _SEQUENCE.finditer(data)]
            return max(sizes, key=lambda size: size[0] * size[1], default=None)
        case _:
            return None


def _vp8(data: bytes) -> tuple[int, int] | None:
    """From the header of a key frame (RFC 6386 §9.1)."""
    if len(data) < 10 or data[0] & 1:
        return None
    width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return width, height


def _h264(data: bytes) -> tuple[int, int]:
    """From a sequence parameter set (ITU-T H.264 §7.3.2.1.1), beginning after its NAL unit's header."""
    bits = _Bits(data.replace(b"\x00\x00\x03", b"\x00\x00"))
    try:
        return _sequence(bits)
    except IndexError:
        return 1 << 16, 1 << 16


def _sequence(bits: _Bits) -> tuple[int, int]:
    profile = bits.take(8)
    bits.take(16)  # constraints, level
    bits.unsigned()  # its id
    if profile in _WITH_CHROMA:
        chroma = bits.unsigned()
        bits.take(1 if chroma == 3 else 0)
        bits.unsigned()  # bit depths
        bits.unsigned()
        bits.take(1)
        if bits.take(1):
            for number in range(12 if chroma == 3 else 8):
                if bits.take(1):
                    _skip_scaling(bits, 16 if number < 6 else 64)
    bits.unsigned()  # frame numbers
    order = bits.unsigned()
    if order == 0:
        bits.unsigned()
    elif order == 1:
        bits.take(1)
        bits.unsigned()
        bits.unsigned()
        for _ in range(bits.unsigned()):
            bits.unsigned()
    bits.unsigned()  # reference frames
    bits.take(1)
    width, height = bits.unsigned() + 1, bits.unsigned() + 1
    return 16 * width, 16 * height * (1 if bits.take(1) else 2)


def _skip_scaling(bits: _Bits, size: int) -> None:
    """A scaling list (§7.3.2.1.1.1)."""
    last = following = 8
    for _ in range(size):
        if following:
            code = bits.unsigned()
            following = (last + ((code + 1) // 2 if code % 2 else -(code // 2))) % 256
        last = following or last


class _Bits:
    """Bits from the most significant one on; IndexError past the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> int:
        value = 0
        for _ in range(count):
            value = value << 1 | self._data[self._at >> 3] >> (7 - (self._at & 7)) & 1
            self._at += 1
        return value

    def unsigned(self) -> int:
        """An Exp-Golomb code, ue(v) (§9.1), which also steps over se(v)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        if zeros > 32:
            raise IndexError
        return (1 << zeros) - 1 + self.take(zeros)
