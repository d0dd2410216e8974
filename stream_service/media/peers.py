"""All live WHIP resources of a gateway, by session (RFC 9725)."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from stream_service.errors import Conflict, NotFound, PreconditionFailed, PreconditionRequired
from stream_service.media.clock import StreamClock, Track
from stream_service.media.fragment import read_fragment
from stream_service.media.intake import Intake
from stream_service.media.offer import read_offer
from stream_service.media.peer import Peer
from stream_service.media.settings import MediaSettings
from stream_service.types import MediaSink, Published, Trickled


@dataclass(slots=True)
class _Source:
    clock: StreamClock
    peer: Peer | None = None
    intake: Intake | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    resumed: bool = False
    """Whether it stands for a source of an earlier run of the server."""


class Peers:
    """Publishes sources into sessions. A session keeps one clock through all the sources that it has."""

    def __init__(
        self,
        settings: MediaSettings,
        frame_size: tuple[int, int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._frame_size = frame_size
        self._monotonic = monotonic
        self._sources: dict[str, _Source] = {}
        self._gone: Counter[str] = Counter()

    def resume(self, session: str, position: float) -> None:
        """A session goes on at stream second ``position``; its source, lost with an earlier run, may come back."""
        clock = StreamClock(self._monotonic)
        clock.resume(position)
        self._sources[session] = _Source(clock, resumed=True)

    async def publish(self, session: str, offer: str, sink: MediaSink) -> Published:
        """Answer an offer and send its media to ``sink``.

        A second offer for a live session replaces its source; stream time goes on by the time that passed, and the
        first media after it are announced by ``on_break`` (gap). An offer that is refused leaves all as it was.

        Raises :class:`TooLarge`, :class:`InvalidSdp`, :class:`UnsupportedMedia`; :class:`Conflict` if the session is
        ended meanwhile.
        """
        checked = read_offer(offer, self._settings.max_sdp_bytes)
        source = self._sources.setdefault(session, _Source(StreamClock(self._monotonic)))
        async with source.lock:
            peer = Peer(session, self._settings, checked, source.clock, self._monotonic)
            try:
                answer = await peer.answer()
                if source.peer is not None and self._sources.get(session) is source:
                    await source.peer.close()
                if self._sources.get(session) is not source:
                    raise Conflict("the session ended while its source was being negotiated", remedy="Publish anew.")
            except BaseException:  # cancelled as well: no connection may stay behind
                await peer.close()
                if source.peer is None and not source.resumed and self._sources.get(session) is source:
                    del self._sources[session]
                raise
            self._gone.update(_received(source))
            sink.on_tracks(video=Track.VIDEO in peer.tracks, audio=Track.AUDIO in peer.tracks)
            source.intake = Intake(
                self._settings,
                self._frame_size,
                source.clock,
                sink,
                self._monotonic,
                gap=source.clock.begin(),
                lost=source.resumed if source.intake is None else source.intake.lost,
            )
            source.peer = peer
            peer.start(source.intake)
        return Published(answer, peer.etag)

    async def trickle(self, session: str, fragment: str, if_match: str | None) -> Trickled:
        """Take the candidates of an SDP fragment, or restart ICE when ``if_match`` is ``*``.

        Raises :class:`NotFound`, :class:`PreconditionRequired` without ``if_match``, :class:`PreconditionFailed` when
        it names another ICE session, :class:`InvalidSdp`, :class:`TooLarge`;
        :class:`Conflict` for a restart of a connection that is over.
        """
        peer = self._peer(session)
        if if_match is None:
            raise PreconditionRequired(
                "the request names no ICE session", remedy="Send the answer's ETag as If-Match (RFC 9725 §4.3)."
            )
        parsed = read_fragment(fragment, self._settings.max_sdp_bytes)
        if if_match.strip() == "*":
            return Trickled(await peer.restart(parsed), peer.etag)
        if peer.etag not in (tag.strip() for tag in if_match.split(",")):
            raise PreconditionFailed(
                "the ICE session named by If-Match is over",
                remedy="Use the ETag of the latest answer, or * to restart.",
            )
        await peer.trickle(parsed)
        return Trickled(None, None)

    async def end(self, session: str) -> None:
        """Close a session's source and forget its clock; the sink hears nothing more. No error if there is none."""
        source = self._sources.pop(session, None)
        if source is not None and source.peer is not None:
            self._gone.update(_received(source))
            await source.peer.close()

    async def stop(self) -> None:
        """Close all sources."""
        await asyncio.gather(*(self.end(session) for session in list(self._sources)))

    def totals(self) -> dict[str, int]:
        """What all sources so far, also those that are gone, have brought: frames, packets_received, packets_lost, and
        dropped (out of order, too large, too many, or not decoded).
        """
        return dict(sum((_received(source) for source in self._sources.values()), self._gone.copy()))

    def stats(self, session: str) -> dict[str, float]:
        """Counters of a session's present source.

        frames, samples (16 kHz), dropped (out of order), breaks, resolutions (changes); packets_received,
        packets_lost; undecoded (frames without their references, or without time to decode them); jitter_video_ms,
        jitter_audio_ms; av_aligned (1 once sender reports lay the tracks to each other,
        0 while or where only packet arrival does), av_skew_ms (by how much the last pair of reports found the
        alignment in use to be wrong) and av_skew_ms_p95 of all; reports_rejected; video_rtp, audio_rtp (RTP timestamp
        of the newest frame) and video_at_s, audio_at_s (the stream second that it was given), from which a sender that
        knows its own media times can tell the true skew. Raises :class:`NotFound`.
        """
        peer = self._peer(session)
        source = self._sources[session]
        reception = peer.reception()
        counts = source.intake.counts if source.intake is not None else None
        skews = sorted(source.clock.skews)
        stats = {
            "packets_received": float(sum(r.received for r in reception.values())),
            "packets_lost": float(sum(r.lost for r in reception.values())),
            "undecoded": float(peer.undecoded()),
            "av_aligned": float(source.clock.aligned),
            "reports_rejected": float(source.clock.rejected),
        }
        if counts is not None:
            stats |= {
                "frames": float(counts.frames),
                "samples": float(counts.samples),
                "dropped": float(counts.dropped),
                "breaks": float(counts.breaks),
                "resolutions": float(counts.resolutions),
            }
        stats |= {f"jitter_{track}_ms": 1e3 * seconds for track, seconds in peer.jitter().items()}
        for track, (timestamp, at) in source.clock.newest.items():
            stats |= {f"{track}_rtp": float(timestamp), f"{track}_at_s": at}
        if skews:
            stats["av_skew_ms"] = 1e3 * source.clock.skews[-1]
            stats["av_skew_ms_p95"] = 1e3 * skews[min(len(skews) - 1, round(0.95 * len(skews)))]
        return stats

    def _peer(self, session: str) -> Peer:
        source = self._sources.get(session)
        if source is None or source.peer is None:
            raise NotFound(f"no source publishes to {session!r}", remedy="POST an offer first.")
        return source.peer


def _received(source: _Source) -> Counter[str]:
    """What a session's present source has brought."""
    if source.peer is None or source.intake is None:
        return Counter()
    reception, counts = source.peer.reception().values(), source.intake.counts
    return Counter(
        frames=counts.frames,
        dropped=counts.dropped + source.peer.undecoded(),
        packets_received=sum(one.received for one in reception),
        packets_lost=sum(one.lost for one in reception),
    )
