"""A track with lost packets, or a decoder that is behind, stays live and goes on from a key frame."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aiortc.codecs import CODECS, get_encoder
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceGatherer, RTCIceTransport
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack, RTCRtpReceiver
from aiortc.rtp import RtpPacket
from av import VideoFrame as Decoded

from stream_service.media import recovery, tap

VP8 = CODECS["video"][0]
PCMU = next(codec for codec in CODECS["audio"] if codec.name == "PCMU")
SIZE = 1 << 16
ENOUGH = 1 << 20
"""Pixels that a picture may have."""


class Line:
    """A receiver on a line that loses what a test says; 30 frames a second of noise, several packets each."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[list[int]] = []
        self.key_frames_asked = self.plis = 0
        self.seq = SIZE - 20
        self.frames = 0
        self.encoder = get_encoder(VP8)
        self.random = np.random.default_rng(1)
        transport = RTCDtlsTransport(RTCIceTransport(RTCIceGatherer([])), [RTCCertificate.generateCertificate()])
        self.receiver: Any = RTCRtpReceiver("video", transport)
        self.receiver._track = RemoteStreamTrack("video")
        self.receiver._send_rtcp_nack = self._nack
        self.receiver._send_rtcp_pli = self._pli
        self.decoder = recovery.guard(self.receiver, "video", lambda: self.now, ENOUGH)
        tap.listen(self.receiver, lambda _: None, lambda *_: None)

    async def _nack(self, ssrc: int, lost: list[int]) -> None:
        assert ssrc == 7
        self.asked.append(lost)

    async def _pli(self, ssrc: int) -> None:
        self.key_frames_asked += 1
        self.plis += 1

    def packets(self) -> list[RtpPacket]:
        """The next frame's packets; a key frame when one was asked for."""
        noise = self.random.integers(0, 255, (96 * 3 // 2, 128), dtype=np.uint8)
        frame = Decoded.from_ndarray(noise, format="yuv420p")
        frame.pts, frame.time_base = self.frames * 3_000, Fraction(1, 90_000)
        payloads, _ = self.encoder.encode(frame, force_keyframe=self.frames == 0 or self.key_frames_asked > 0)
        self.key_frames_asked = 0
        made = []
        for payload in payloads:
            packet = RtpPacket(payload_type=97, sequence_number=self.seq, timestamp=self.frames * 3_000, ssrc=7)
            packet.payload = payload
            made.append(packet)
            self.seq = (self.seq + 1) % SIZE
        self.frames += 1
        return made

    async def send(self, packets: list[RtpPacket]) -> None:
        self.now += 1 / 30
        for packet in packets:
            await self.receiver._handle_rtp_packet(packet, arrival_time_ms=int(self.now * 1e3))

    async def received(self, count: int) -> list[int]:
        """Frame numbers of the next ``count`` pictures."""
        return [round((await self.receiver.track.recv()).pts / 3_000) for _ in range(count)]


@pytest.fixture
async def line() -> Any:
    """A started line."""
    made = Line()
    await made.receiver.receive(RTCRtpReceiveParameters(codecs=[VP8]))
    yield made
    await made.receiver.stop()


async def test_a_lost_packet_is_asked_for_again_and_nothing_is_missing_when_it_comes(line: Line) -> None:
    await line.send(line.packets())
    kept, *rest = line.packets()
    await line.send(rest)
    for _ in range(6):
        await line.send(line.packets())
    assert [lost[0] for lost in line.asked] == [kept.sequence_number] * len(line.asked)
    assert len(line.asked) >= 2
    await line.send([kept])
    await line.send(line.packets())
    assert await line.received(7) == list(range(7))
    assert line.decoder.dropped == 0


async def test_a_packet_that_never_comes_is_given_up_and_a_key_frame_goes_on(line: Line) -> None:
    await line.send(line.packets())
    first, _, *rest = line.packets()
    await line.send([first, *rest])
    asked_at = None
    for n in range(2, 40):
        await line.send(line.packets())
        if line.key_frames_asked and asked_at is None:
            asked_at = n
    assert asked_at is not None
    assert 18 <= asked_at <= 21
    numbers = await line.received(10)
    assert numbers[0] == 0
    assert asked_at <= numbers[1] <= asked_at + 2
    assert numbers[2:] == list(range(numbers[1] + 1, numbers[1] + 9))
    assert line.decoder.dropped >= 18


async def test_what_cannot_be_decoded_is_survived_and_a_key_frame_asked_for(line: Line) -> None:
    await line.send(line.packets())
    broken = line.packets()[:1]
    broken[0].payload = broken[0].payload[:8] + bytes(40)
    line.seq = (broken[0].sequence_number + 1) % SIZE
    await line.send(broken)
    for _ in range(12):
        await line.send(line.packets())
    numbers = await line.received(10)
    assert numbers[0] == 0
    assert numbers[1:] == list(range(numbers[1], numbers[1] + 9))
    assert line.plis >= 1


async def test_a_line_without_loss_asks_for_nothing(line: Line) -> None:
    for _ in range(20):
        await line.send(line.packets())
    assert await line.received(19) == list(range(19))
    assert (line.asked, line.key_frames_asked) == ([], 0)


async def test_sound_is_given_out_as_it_comes_and_a_lost_packet_holds_up_few_others() -> None:
    transport = RTCDtlsTransport(RTCIceTransport(RTCIceGatherer([])), [RTCCertificate.generateCertificate()])
    receiver: Any = RTCRtpReceiver("audio", transport)
    receiver._track = RemoteStreamTrack("audio")
    decoder = recovery.guard(receiver, "audio", lambda: 0.0, ENOUGH)
    tap.listen(receiver, lambda _: None, lambda *_: None)
    await receiver.receive(RTCRtpReceiveParameters(codecs=[PCMU]))
    heard: list[int] = []
    for n in [0, 1, 3, 2, *range(4, 10), *range(11, 24)]:
        packet = RtpPacket(payload_type=0, sequence_number=n, timestamp=160 * n, ssrc=7)
        packet.payload = bytes(160)
        before = decoder.unfinished_tasks
        await receiver._handle_rtp_packet(packet, arrival_time_ms=20 * n)
        heard += [n] * (decoder.unfinished_tasks - before)
    pts = [(await receiver.track.recv()).pts // 160 for _ in heard]
    await receiver.stop()
    assert pts == [n for n in range(24) if n != 10]
    assert heard == [0, 1, 2, 2, *range(4, 10), *[18] * 8, *range(19, 24)]


def test_sound_packets_are_put_in_order_across_the_wrap_and_a_new_start() -> None:
    buffer = recovery.SoundBuffer()
    out = []
    for seq in [SIZE - 2, 0, SIZE - 1, SIZE - 1, 1, 30_000, 30_001, 29_999]:
        packet = RtpPacket(sequence_number=seq, timestamp=seq)
        packet._data = b"x"  # type: ignore[attr-defined]
        frames = [buffer.add(packet)[1], buffer.pop(), buffer.pop()]
        out += [f.timestamp for f in frames if f is not None]
    assert out == [SIZE - 2, SIZE - 1, 0, 1, 30_000, 30_001]


def frame(*, key: bool) -> tuple[Any, Any]:
    return SimpleNamespace(name="VP8"), SimpleNamespace(data=b"\x00" if key else b"\x01")


def test_a_decoder_that_is_behind_loses_what_waits_and_goes_on_from_a_key_frame() -> None:
    asked: list[int] = []
    queue = recovery.DecoderQueue(lambda: asked.append(1), ENOUGH)
    for _ in range(46):
        queue.put(frame(key=False))
    assert (queue.qsize(), queue.dropped, len(asked)) == (0, 46, 1)
    queue.put(frame(key=False))
    queue.put(frame(key=True))
    queue.put(frame(key=False))
    queue.put(None)
    assert (queue.qsize(), queue.dropped) == (3, 47)


def test_a_camera_that_sends_no_key_frame_is_asked_again_and_then_decoded_as_it_comes() -> None:
    asked: list[int] = []
    queue = recovery.DecoderQueue(lambda: asked.append(1), ENOUGH)
    queue.await_key_frame()
    for _ in range(92):
        queue.put(frame(key=False))
    assert (queue.dropped, queue.qsize(), len(asked)) == (90, 2, 4)


def test_a_picture_too_large_to_be_used_never_reaches_the_decoder() -> None:
    asked: list[int] = []
    queue = recovery.DecoderQueue(lambda: asked.append(1), ENOUGH)
    liar = SimpleNamespace(name="VP8"), SimpleNamespace(data=b"\x10\x02\x00\x9d\x01\x2a\xff\x3f\xff\x3f")
    usual = SimpleNamespace(name="VP8"), SimpleNamespace(data=b"\x10\x02\x00\x9d\x01\x2a\x00\x04\x00\x03")
    queue.put(liar)
    queue.put(frame(key=False))
    assert (queue.qsize(), queue.dropped, len(asked)) == (0, 2, 1)
    for _ in range(100):
        queue.put(liar)
    queue.put(usual)
    queue.put(frame(key=False))
    assert (queue.qsize(), queue.dropped) == (2, 102)


@pytest.mark.parametrize(
    ("codec", "data", "key"),
    [
        ("VP8", b"\x10\x02\x00\x9d\x01\x2a", True),
        ("VP8", b"\x11\x02\x00", False),
        ("VP8", b"", False),
        ("H264", b"\x00\x00\x00\x01\x67\x42\x00\x00\x00\x01\x68\xce\x00\x00\x00\x01\x65\x88", True),
        ("H264", b"\x00\x00\x00\x01\x41\x9a", False),
        ("opus", b"\xfc", True),
    ],
)
def test_key_frames_are_told_from_others(codec: str, data: bytes, key: bool) -> None:
    assert recovery.is_key_frame(codec, data) is key
