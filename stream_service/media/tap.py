"""What an aiortc 1.16 receiver knows and does not tell. With ``consent``, ``recovery`` and ``restart``, one of the
modules that know private names.

aiortc maps RTP timestamps to a start of its own (taking any step back for a wrap), and uses a sender report only for
its statistics, dropping the RTP time in it. Both are taken here, where they arrive, on the one receiver given: nothing
is patched for the whole process. ``tests/stream_service/media/test_tap.py`` fails when a new aiortc changes the names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiortc import RTCRtpReceiver
from aiortc.codecs import is_rtx
from aiortc.rtp import RtcpSrPacket

_NTP_UNIX = 2_208_988_800
"""Seconds from the NTP epoch (1900) to the Unix epoch."""


class _AsSent:
    """In the place of aiortc's TimestampMapper: frames keep the 32-bit timestamp of their packets."""

    def map(self, timestamp: int) -> int:
        return timestamp


@dataclass(frozen=True, slots=True)
class Reception:
    """Packets received and lost (before retransmission), over all SSRCs."""

    received: int = 0
    lost: int = 0


def listen(receiver: Any, on_packet: Callable[[int], None], on_report: Callable[[float, int], None]) -> None:
    """Before the receiver starts: call ``on_packet(timestamp)`` for each RTP packet as it arrives (not for
    retransmissions, whose streams browsers also use for probes with timestamps of no meaning) and
    ``on_report(wall, timestamp)`` for each sender report (wall: Unix seconds of the sender's clock), on the event loop.

    Decoded frames then carry the sender's own timestamp as ``pts``.
    """
    receiver._RTCRtpReceiver__timestamp_mapper = _AsSent()
    handle_rtp, handle_rtcp = receiver._handle_rtp_packet, receiver._handle_rtcp_packet

    async def rtp(packet: Any, arrival_time_ms: int) -> None:
        codec = receiver._RTCRtpReceiver__codecs.get(packet.payload_type)
        if codec is not None and not is_rtx(codec):
            on_packet(packet.timestamp)
        await handle_rtp(packet, arrival_time_ms=arrival_time_ms)

    async def rtcp(packet: Any) -> None:
        if isinstance(packet, RtcpSrPacket) and packet.sender_info.ntp_timestamp:
            info = packet.sender_info
            on_report(info.ntp_timestamp / (1 << 32) - _NTP_UNIX, info.rtp_timestamp)
        await handle_rtcp(packet)

    receiver._handle_rtp_packet = rtp
    receiver._handle_rtcp_packet = rtcp


def reception(receiver: RTCRtpReceiver) -> Reception:
    """What the receiver has counted so far."""
    streams = receiver._RTCRtpReceiver__remote_streams.values()
    return Reception(
        received=sum(s.packets_received for s in streams),
        lost=sum(s.packets_lost for s in streams),
    )
