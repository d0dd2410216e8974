"""Cutting a live stream into windows. Pure: no clock of its own, no I/O; time is what the media say it is."""

from __future__ import annotations

from collections import deque

import numpy as np

from stream_service.types import SAMPLE_RATE, AudioChunk, BreakKind, MediaBreak, VideoFrame, Window
from stream_service.windows.lanes import FRAME_TICKS, PATCH_TICKS, WINDOW_TICKS, AudioLane, VideoLane
from stream_service.windows.settings import WindowSettings


def _tick(at: float) -> int:
    return round(at * SAMPLE_RATE)


class Windower:
    """One session's media in, its windows out.

    A window is 2 s (two temporal patches of 1 s: 4 frames, 32 000 samples). It closes as soon as every live track has
    reached its end, so that the order in which audio and video happen to arrive changes nothing, and at the latest
    when one track is ``patience_s`` past it. Buffers are bounded by that: what a closed window did not get in time is
    dropped when it comes (samples) or only repeated into later windows (the latest frame).

    A :meth:`cut` closes the open window early and restarts the grid there. A break of the media starts a new segment:
    at the last whole patch before it when media go on, at the break itself after a gap.

    Windows are contiguous between gaps, and their indices have none. A session that goes on after a restart begins with
    window ``first`` at stream second ``start``.
    """

    def __init__(self, session: str, settings: WindowSettings, *, first: int = 0, start: float = 0.0) -> None:
        self._session = session
        self._patience = _tick(settings.patience_s)
        self._stale = _tick(settings.stale_s)
        self._least = max(1, _tick(settings.min_cut_s))
        self._audio, self._video = AudioLane(), VideoLane()
        self._start = self._origin = self._reached = _tick(start)
        self._audio.restart(self._start)
        self._index = first
        self._breaks: deque[int] = deque()
        self._new_segment = True
        self._shown: tuple[bool, bool] | None = None

    @property
    def position(self) -> float:
        """Stream seconds of the newest media (or of the gap after it); 0 before any."""
        return self._reached / SAMPLE_RATE

    def tracks(self, *, video: bool, audio: bool) -> None:
        """Say which tracks were negotiated; media of another track is ignored, and no window waits for it."""
        if self._video.enabled and not video:
            self._video.restart()
        if self._audio.enabled and not audio:
            self._audio.restart(self._start)
        self._video.enabled, self._audio.enabled = video, audio

    def push_video(self, frame: VideoFrame) -> list[Window]:
        """Take a frame; returns the windows that it completed, oldest first."""
        if not self._video.enabled:
            return []
        at = _tick(frame.at)
        windows = self._arrive(at, at)
        self._video.push(at, frame, self._start)
        return windows + self._close_ready()

    def push_audio(self, chunk: AudioChunk) -> list[Window]:
        """Take samples; returns the windows that they completed, oldest first."""
        if not self._audio.enabled or not len(chunk.samples):
            return []
        at = _tick(chunk.at)
        windows = self._arrive(at, at + len(chunk.samples))
        self._audio.push(at, chunk.samples)
        return windows + self._close_ready()

    def mark_break(self, brk: MediaBreak) -> list[Window]:
        """Start a new segment where the media broke; returns what a gap leaves to close.

        What a gap leaves unfinished is closed at the last media before it, unless it is shorter than ``min_cut_s``.
        """
        at = _tick(brk.at)
        if brk.kind is BreakKind.GAP:
            return self._gap(at)
        if not self._breaks or (at - self._start) // PATCH_TICKS > (self._breaks[-1] - self._start) // PATCH_TICKS:
            self._breaks.append(at)
        self._note_breaks()
        return []

    def cut(self, at: float) -> list[Window]:
        """End the open window at stream second ``at``, without waiting for anything.

        Returns the whole windows before ``at`` that a late track held back, then the closing one, completed to whole
        patches; nothing when less than ``min_cut_s`` of media are new. Never cuts past the newest sample of a live
        audio track, so that no sample is lost.
        """
        heard = self._audio.end if self._awaited(self._audio.enabled, self._audio.end) else None
        return self._close_until(min(_tick(at), self._reached if heard is None else heard))

    def _arrive(self, at: int, end: int) -> list[Window]:
        """Media of ticks ``[at, end)`` came; far beyond all others they are a gap that nobody announced."""
        windows = self._gap(at) if at > self._reached + self._stale else []
        self._reached = max(self._reached, end)
        return windows

    def _gap(self, at: int) -> list[Window]:
        windows = self._close_until(self._reached)
        self._start = self._origin = max(at, self._start)
        self._reached = max(self._reached, at)
        self._audio.restart(self._start)
        self._video.restart()
        self._breaks.clear()
        self._new_segment = True
        return windows

    def _close_ready(self) -> list[Window]:
        windows = []
        while self._ready(end := self._next_end()):
            windows.append(self._close(end))
        return windows

    def _close_until(self, at: int) -> list[Window]:
        windows = []
        while (end := self._next_end()) <= at:
            windows.append(self._close(end))
        if at - self._start >= self._least:
            windows.append(self._close(at))
        return windows

    def _next_end(self) -> int:
        """The open window's end: one patch when a break comes in its second, else two."""
        whole = self._start + WINDOW_TICKS
        return self._start + PATCH_TICKS if self._breaks and self._breaks[0] < whole else whole

    def _ready(self, end: int) -> bool:
        if self._reached < end:
            return False
        lanes = ((self._audio.enabled, self._audio.end), (self._video.enabled, self._video.newest))
        awaited = [reached for enabled, reached in lanes if self._awaited(enabled, reached)]
        return self._reached >= end + self._patience or all(r is not None and r >= end for r in awaited)

    def _awaited(self, enabled: bool, reached: int | None) -> bool:
        last = self._origin if reached is None else reached
        return enabled and last > self._start - self._stale

    def _close(self, end: int) -> Window:
        """Close the open window at ``end``, pad it to whole patches, and open the next one there."""
        start = self._start
        patches = -(-(end - start) // PATCH_TICKS)
        picture = self._video.present(start, end, self._stale)
        sound = self._audio.present(start, end, self._stale)
        samples = self._audio.take(start, end)
        chosen = [self._video.pick(start + k * FRAME_TICKS, end) for k in range(2 * patches)] if picture else []
        self._video.drop_before(end)
        window = Window(
            session=self._session,
            index=self._index,
            start=start / SAMPLE_RATE,
            end=end / SAMPLE_RATE,
            frames=np.stack([frame.pixels() for frame, _ in chosen]) if picture else None,
            samples=np.pad(samples, (0, patches * PATCH_TICKS - len(samples))) if sound else None,
            new_segment=self._new_segment or self._shown not in (None, (picture, sound)),
            lost_frames=sum(lost for _, lost in chosen),
        )
        self._index += 1
        self._shown = (picture, sound)
        self._start = end
        self._new_segment = False
        self._note_breaks()
        return window

    def _note_breaks(self) -> None:
        """A break in the open window's first patch makes that window the new segment's first."""
        while self._breaks and self._breaks[0] < self._start + PATCH_TICKS:
            self._breaks.popleft()
            self._new_segment = True
