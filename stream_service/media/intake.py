"""From decoded frames to a session's sink: times, breaks, silence. Knows nothing of networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from av import AudioFrame, FFmpegError
from av import VideoFrame as Decoded

from stream_service.media.audio import MonoResampler
from stream_service.media.clock import Stamp, StreamClock, Track
from stream_service.media.frames import LiveFrame
from stream_service.media.settings import MediaSettings
from stream_service.types import BreakKind, MediaBreak, MediaSink

VIDEO_RATE = 90_000
"""Hz of every video RTP clock."""
_SHAPE = 0.01
"""Relative change of the aspect ratio from which a picture counts as another one."""


@dataclass(slots=True)
class Counts:
    """What came in from one source."""

    frames: int = 0
    samples: int = 0
    dropped: int = 0
    breaks: int = 0
    resolutions: int = 0


class Intake:
    """One source's decoded media, on the event loop.

    ``gap`` says that the session had media before, so that this source's first follow a gap; ``lost`` that the sink
    was told of a loss and waits to hear that media are back.
    """

    def __init__(
        self,
        settings: MediaSettings,
        frame_size: tuple[int, int],
        clock: StreamClock,
        sink: MediaSink,
        monotonic: Callable[[], float],
        *,
        gap: bool,
        lost: bool,
    ) -> None:
        self._settings = settings
        self._frame_size = frame_size
        self._clock = clock
        self._sink = sink
        self._monotonic = monotonic
        self._gap = gap
        self.lost = lost
        self._last = monotonic()
        self._limit = settings.connect_s
        self._resampler = MonoResampler()
        self._next_audio: int | None = None
        self._source_size: tuple[int, int] | None = None
        self._due = float("-inf")
        self.counts = Counts()

    def video(self, decoded: Decoded) -> None:
        """A decoded picture whose ``pts`` is its RTP timestamp."""
        stamp = self._stamp(Track.VIDEO, decoded.pts, VIDEO_RATE)
        if stamp is None:
            return
        if decoded.width * decoded.height > self._settings.max_pixels or not self._in_measure(stamp.at):
            self.counts.dropped += 1
            return
        frame = LiveFrame(decoded, stamp.at, self._frame_size, self._settings.fit)
        self._note_size(frame.source_size, stamp.at)
        self.counts.frames += 1
        self._sink.on_video(frame)

    def _in_measure(self, at: float) -> bool:
        """Whether a picture at stream time ``at`` keeps to ``max_fps``; a second's worth may come at once."""
        due = max(self._due, at)
        if due > at + 1.0:
            return False
        self._due = due + 1.0 / self._settings.max_fps
        return True

    def audio(self, decoded: AudioFrame) -> None:
        """Decoded samples whose ``pts`` is the RTP timestamp of the first one, in units of their sample rate."""
        timestamp, rate = decoded.pts, decoded.sample_rate
        if timestamp is None:
            return
        stamp = self._stamp(Track.AUDIO, timestamp, rate)
        if stamp is None:
            return
        if stamp.jumped or timestamp != self._next_audio:
            self._finish_audio()
        self._next_audio = (timestamp + decoded.samples) % (1 << 32)
        try:
            chunk = self._resampler.push(decoded, stamp.at)
        except FFmpegError:
            self.counts.dropped += 1
            self._resampler = MonoResampler()
            return
        if chunk is not None:
            self.counts.samples += len(chunk.samples)
            self._sink.on_audio(chunk)

    def check(self) -> None:
        """Notice silence; to be called a few times a second."""
        quiet = self._monotonic() - self._last
        if quiet > self._limit:
            self.lose(f"no media for {quiet:.0f} s")

    def lose(self, reason: str) -> None:
        """The source cannot send any more, or does not; said once until media flow again."""
        if not self.lost:
            self._finish_audio()
            self.lost = self._gap = True
            self._sink.on_lost(reason)

    def _stamp(self, track: Track, timestamp: int | None, rate: int) -> Stamp | None:
        stamp = None if timestamp is None else self._clock.stamp(track, timestamp, rate)
        if stamp is None:
            self.counts.dropped += 1
            return None
        self._last, self._limit = self._monotonic(), self._settings.silence_s
        if self.lost:
            self.lost = False
            self._sink.on_back()
        if self._gap:
            self._gap = False
            self._break(stamp.at, BreakKind.GAP)
        elif stamp.jumped:
            self._break(stamp.at, BreakKind.CLOCK)
        return stamp

    def _note_size(self, size: tuple[int, int], at: float) -> None:
        """A turned or reshaped picture breaks the segment; the same one in more or fewer pixels does not."""
        before, self._source_size = self._source_size, size
        if before is None or before == size:
            return
        self.counts.resolutions += 1
        ratio = (size[0] * before[1]) / (size[1] * before[0])
        if abs(ratio - 1) > _SHAPE:
            self._break(at, BreakKind.RESOLUTION)

    def _finish_audio(self) -> None:
        tail = self._resampler.restart()
        if tail is not None:
            self.counts.samples += len(tail.samples)
            self._sink.on_audio(tail)

    def _break(self, at: float, kind: BreakKind) -> None:
        self.counts.breaks += 1
        self._sink.on_break(MediaBreak(at, kind))
