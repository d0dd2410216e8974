"""The private names of aiortc that the tap relies on; this is what fails when a new aiortc changes them."""

from __future__ import annotations

from typing import Any

from aiortc.codecs import get_decoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceGatherer, RTCIceTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack, RTCRtpReceiver
from aiortc.rtp import RtcpSenderInfo, RtcpSrPacket, RtpPacket

from stream_service.media import tap

PCMU = RTCRtpCodecParameters(mimeType="audio/PCMU", clockRate=8000, channels=1, payloadType=0)


def make_receiver() -> RTCRtpReceiver:
    ice = RTCIceTransport(RTCIceGatherer([]))
    receiver = RTCRtpReceiver("audio", RTCDtlsTransport(ice, [RTCCertificate.generateCertificate()]))
    receiver._track = RemoteStreamTrack("audio")
    return receiver


async def test_packets_reports_and_timestamps_are_heard_as_they_were_sent() -> None:
    receiver = make_receiver()
    packets: list[int] = []
    reports: list[tuple[float, int]] = []
    tap.listen(receiver, packets.append, lambda wall, timestamp: reports.append((wall, timestamp)))
    await receiver.receive(RTCRtpReceiveParameters(codecs=[PCMU]))
    start = (1 << 32) - 320
    for n in range(12):
        packet = RtpPacket(payload_type=0, sequence_number=n, timestamp=(start + 160 * n) % (1 << 32), ssrc=7)
        packet.payload = bytes(160)
        await receiver._handle_rtp_packet(packet, arrival_time_ms=20 * n)
    frames: list[Any] = [await receiver.track.recv() for _ in range(6)]
    info = RtcpSenderInfo(ntp_timestamp=(2_208_988_800 + 5) << 32, rtp_timestamp=99, packet_count=1, octet_count=1)
    await receiver._handle_rtcp_packet(RtcpSrPacket(ssrc=7, sender_info=info))
    counted = tap.reception(receiver)
    await receiver.stop()
    assert packets == [(start + 160 * n) % (1 << 32) for n in range(12)]
    assert [frame.pts for frame in frames] == packets[:6]
    assert reports == [(5.0, 99)]
    assert (counted.received, counted.lost) == (12, 0)


async def test_retransmissions_are_not_heard() -> None:
    receiver = make_receiver()
    packets: list[int] = []
    tap.listen(receiver, packets.append, lambda *_: None)
    rtx = RTCRtpCodecParameters(mimeType="video/rtx", clockRate=90_000, payloadType=98, parameters={"apt": 0})
    await receiver.receive(RTCRtpReceiveParameters(codecs=[PCMU, rtx]))
    for payload_type in (0, 98, 55):
        packet = RtpPacket(payload_type=payload_type, sequence_number=1, timestamp=payload_type, ssrc=payload_type)
        packet.payload = bytes(160)
        await receiver._handle_rtp_packet(packet, arrival_time_ms=0)
    await receiver.stop()
    assert packets == [0]


async def test_a_report_without_wall_time_is_ignored() -> None:
    receiver = make_receiver()
    reports: list[tuple[float, int]] = []
    tap.listen(receiver, lambda _: None, lambda *report: reports.append(report))
    info = RtcpSenderInfo(ntp_timestamp=0, rtp_timestamp=99, packet_count=1, octet_count=1)
    await receiver._handle_rtcp_packet(RtcpSrPacket(ssrc=7, sender_info=info))
    assert reports == []


def test_the_decoder_keeps_the_timestamp_that_it_is_given() -> None:
    (frame,) = get_decoder(PCMU).decode(JitterFrame(bytes(160), (1 << 32) - 160))
    assert (frame.pts, frame.sample_rate) == ((1 << 32) - 160, 8000)
