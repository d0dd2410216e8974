"""How far apart the server lays picture and sound that belong together, from what only their sender knows for sure.

The sender knows the media second of each RTP timestamp, to the tick. `GET /v1/sessions/{id}` tells which stream second
the server gave to the newest timestamp of each track. The difference of the two, video against audio, is the skew that
the model is shown, whatever the sender reports say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from aiortc import RTCRtpSender

from clients.python.playback import PacedTrack

RATES = {"video": 90_000, "audio": 48_000}
"""RTP clock rates of VP8 and Opus, in Hz."""
_WRAP = 1 << 32


class SkewMeter:
    """Push what was sent and what the server says of it; read the skews at the end."""

    def __init__(self) -> None:
        self._origins: dict[str, Counter[int]] = {kind: Counter() for kind in RATES}
        self._views: list[Mapping[str, float]] = []

    def sent(self, kind: str, media_s: float, timestamp: int) -> None:
        """A packet of media second `media_s` was the newest one when `timestamp` was the newest timestamp.

        Now and then the one is a packet ahead of the other; the origin that most pairs agree on is right.
        """
        self._origins[kind][(timestamp - round(media_s * RATES[kind])) % _WRAP] += 1

    def seen(self, source: Mapping[str, float]) -> None:
        """The `source` part of a session's view; without both tracks it is passed over."""
        if all(f"{kind}_{what}" in source for kind in RATES for what in ("rtp", "at_s")):
            self._views.append(source)

    def skews_s(self) -> list[float]:
        """Stream second less media second, of video less that of audio, for each view."""
        if not all(self._origins.values()):
            return []
        origins = {kind: counts.most_common(1)[0][0] for kind, counts in self._origins.items()}
        return [_late(view, "video", origins) - _late(view, "audio", origins) for view in self._views]


def watch(sender: RTCRtpSender, track: PacedTrack, meter: SkewMeter) -> None:
    """Note what a sender has sent last."""
    timestamp = newest_timestamp(sender)
    if track.sent and timestamp is not None:
        meter.sent(track.kind, track.sent[-1][0], timestamp)


def newest_timestamp(sender: RTCRtpSender) -> int | None:
    """The RTP timestamp of the newest packet sent; None before the first.

    aiortc draws a random origin and keeps it to itself: this is the one private name of its senders that is used, and
    `tests/benchmarks/test_live.py` fails when a new aiortc changes it. Raises RuntimeError then.
    """
    try:
        timestamp: int = sender._RTCRtpSender__rtp_timestamp
    except AttributeError:
        raise RuntimeError("this aiortc keeps a sender's timestamp elsewhere: adapt newest_timestamp()") from None
    return timestamp or None


def _late(view: Mapping[str, float], kind: str, origins: Mapping[str, int]) -> float:
    ticks = (int(view[f"{kind}_rtp"]) - origins[kind]) % _WRAP
    return view[f"{kind}_at_s"] - ticks / RATES[kind]
