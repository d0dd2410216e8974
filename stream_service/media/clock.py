"""One clock for a session's media: RTP timestamps to stream seconds, aligned by RTCP sender reports (RFC 3550 §6.4.1).

Each track counts in its own units from a random start. A sender report says which wall time (of the sender) a track's
timestamp stands for; two reports, one a track, say how the tracks lie to each other. Until both have come the tracks
are laid by the *arrival of their packets*: of each track's packets in the first five seconds, the one that took the
least time counts. When the reports come, sound stays where it is (its samples are counted, not stamped) and the picture
moves, once; later reports follow the drift between the sender's two clocks. Where reports never come, the alignment of
the first five seconds stays, and :attr:`StreamClock.aligned` says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median

_WRAP = 1 << 32
_REORDER_S = 0.5
"""Going back by less is a frame out of order (dropped); by more, another clock."""
_JUMP_S = 1.0
"""Media this much earlier than the least delay seen so far cannot be: the clock jumped forward."""
_CREEP = 1e-3
"""How fast the least delay seen is forgotten (s/s): above any drift between two crystals."""
_STEP_S = 0.25
"""Two reports of one track that differ by more come from before and after a step of the sender's wall clock."""
_REJECT_S = 2.0
"""Reports that move the picture by more contradict the arrival of packets, and are not believed."""
_SETTLE_S = 5.0
"""How long the arrival of packets is watched."""
_REPORTS = 5
_TICK_S = 1e-3
_SKEWS = 512


class Track(StrEnum):
    """The two kinds of track."""

    VIDEO = "video"
    AUDIO = "audio"


@dataclass(frozen=True, slots=True)
class Stamp:
    """Stream seconds of a frame's first instant; ``jumped`` when its track's clock was found to have jumped there."""

    at: float
    jumped: bool = False


@dataclass(slots=True)
class _TrackClock:
    rate: int
    offset: float | None = None
    """stream second = timestamp / rate + offset"""
    arrival: float | None = None
    """Least of (arrival in stream seconds - timestamp / rate), while it is watched."""
    seed: int | None = None
    """The first timestamp heard of."""
    last: int | None = None
    """Timestamp of the last frame, unwrapped."""
    last_at: float = 0.0
    last_now: float = 0.0
    delay: float = 0.0
    """Least delay of a frame lately, up to a constant."""
    reports: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_REPORTS))

    def unwrap(self, timestamp: int) -> int:
        """The timestamp nearest to the last one, of all that agree with it modulo 2**32."""
        near = self.seed if self.last is None else self.last
        return timestamp if near is None else near + (timestamp - near + _WRAP // 2) % _WRAP - _WRAP // 2

    def wall(self, report: tuple[float, int]) -> float:
        """The sender's wall time at timestamp 0, by one report."""
        return report[0] - self.unwrap(report[1]) / self.rate


class StreamClock:
    """Stream seconds for all sources that a session has had, one after the other.

    ``monotonic`` is the local clock (seconds); it lays out what nothing else tells: the first alignment, and the
    length of the gap between two sources.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._epoch: float | None = None
        self._settled: float | None = None
        self._position = 0.0
        self._position_now: float | None = None
        self._tracks: dict[Track, _TrackClock] = {}
        self._skews: deque[float] = deque(maxlen=_SKEWS)
        self.aligned = False
        """Whether sender reports have laid the two tracks to each other."""
        self.rejected = 0
        """Report pairs that were not believed."""

    @property
    def skews(self) -> list[float]:
        """By how much (s) each pair of reports found the alignment in use to be wrong; the provisional one first."""
        return list(self._skews)

    @property
    def newest(self) -> dict[Track, tuple[int, float]]:
        """By track: the 32-bit RTP timestamp of its newest frame, and the stream second that it was given."""
        return {name: (one.last % _WRAP, one.last_at) for name, one in self._tracks.items() if one.last is not None}

    def resume(self, position: float) -> None:
        """Stream time stands at ``position`` (s) now, though this clock saw none of the media before it."""
        self._position, self._position_now = position, self._monotonic()

    def begin(self) -> bool:
        """Another source follows: its time goes on by the time that passed. True if there was media before."""
        self._tracks.clear()
        self._settled = None
        self.aligned = False
        if self._position_now is None:
            self._epoch = None
            return False
        self._epoch = self._position_now - self._position
        return True

    def heard(self, track: Track, timestamp: int, rate: int) -> None:
        """A packet of a track's own stream arrived (not a retransmission)."""
        clock = self._tracks.get(track)
        if clock is None:
            clock = self._tracks[track] = _TrackClock(rate, seed=timestamp)
        elapsed = self._elapsed()
        self._settled = elapsed + _SETTLE_S if self._settled is None else self._settled
        if clock.offset is not None and (self.aligned or elapsed > self._settled):
            return
        arrival = elapsed - clock.unwrap(timestamp) / rate
        if clock.arrival is None or arrival < clock.arrival:
            clock.arrival = arrival
            self._lay_by_arrival()

    def report(self, track: Track, wall: float, timestamp: int) -> None:
        """A sender report: at the sender's time ``wall`` (s) the track's timestamp was ``timestamp``."""
        clock = self._tracks.get(track)
        if clock is None or wall <= 0:
            return
        report = (wall, timestamp)
        if clock.reports and abs(clock.wall(report) - clock.wall(clock.reports[-1])) > _STEP_S:
            for other in self._tracks.values():
                other.reports.clear()
        clock.reports.append(report)
        self._align()

    def stamp(self, track: Track, timestamp: int, rate: int) -> Stamp | None:
        """Stream time of the frame with this 32-bit RTP ``timestamp`` (``rate`` a second); None: out of order, drop it.

        Times of a track never go back, whatever its timestamps and reports do.
        """
        now = self._monotonic()
        self.heard(track, timestamp, rate)
        clock = self._tracks[track]
        if clock.offset is None:
            return self._first(clock, timestamp, now)
        assert clock.last is not None
        unwrapped = clock.unwrap(timestamp)
        back = (clock.last - unwrapped) / clock.rate
        if 0 <= back <= _REORDER_S:
            return None
        delay = now - unwrapped / clock.rate
        jumped = back > 0 or delay < clock.delay - _JUMP_S
        if jumped:
            clock.offset = clock.last_at + (now - clock.last_now) - unwrapped / clock.rate
            clock.reports.clear()
            self.aligned, self._settled = False, 0.0
            clock.delay = delay
        clock.delay = min(delay, clock.delay + _CREEP * (now - clock.last_now))
        at = max(unwrapped / clock.rate + clock.offset, clock.last_at + _TICK_S)
        return self._note(clock, unwrapped, at, now, jumped)

    def _first(self, clock: _TrackClock, timestamp: int, now: float) -> Stamp:
        assert clock.arrival is not None
        timestamp = clock.unwrap(timestamp)
        clock.offset = clock.arrival
        clock.delay = now - timestamp / clock.rate
        self._lay_by_arrival()
        self._align()
        return self._note(clock, timestamp, timestamp / clock.rate + clock.offset, now, False)

    def _note(self, clock: _TrackClock, timestamp: int, at: float, now: float, jumped: bool) -> Stamp:
        clock.last, clock.last_at, clock.last_now = timestamp, at, now
        if at >= self._position:
            self._position, self._position_now = at, now
        return Stamp(at, jumped)

    def _elapsed(self) -> float:
        now = self._monotonic()
        if self._epoch is None:
            self._epoch = now
        return now - self._epoch

    def _lay_by_arrival(self) -> None:
        """Move the picture so that the fastest packets of both tracks took the same time."""
        video, audio = self._tracks.get(Track.VIDEO), self._tracks.get(Track.AUDIO)
        if self.aligned or video is None or audio is None or video.offset is None or audio.offset is None:
            return
        if video.arrival is not None and audio.arrival is not None:
            video.offset = audio.offset + video.arrival - audio.arrival

    def _align(self) -> None:
        """Move the picture so that it lies to the sound as the reports say."""
        video, audio = self._tracks.get(Track.VIDEO), self._tracks.get(Track.AUDIO)
        if video is None or audio is None or not video.reports or not audio.reports:
            return
        if video.offset is None or audio.offset is None:
            return
        in_use = video.offset - audio.offset
        newest = video.wall(video.reports[-1]) - audio.wall(audio.reports[-1]) - in_use
        move = median(map(video.wall, video.reports)) - median(map(audio.wall, audio.reports)) - in_use
        if abs(move) > _REJECT_S:
            self.rejected += 1
            return
        self._skews.append(abs(newest))
        video.offset += move
        self.aligned = True
