"""A media file as a source: the same frames and samples that a live source would give, in the order of their times."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from stream_service.errors import InvalidInput
from stream_service.media.audio import MonoResampler
from stream_service.media.frames import LiveFrame
from stream_service.media.settings import Fit
from stream_service.types import AudioChunk

_HELD = 1024
"""Frames and chunks held back while waiting for the other track; a file interleaved worse than that loses the order."""


class Clip:
    """A file's first video and first audio track, decoded while iterating; close it, or use it in a ``with`` block.

    Raises InvalidInput (field ``clip``) when the file cannot be opened, has neither track, or is damaged; the last one
    while iterating.
    """

    def __init__(self, path: Path, size: tuple[int, int], fit: Fit) -> None:
        self._path = path
        self._size = size
        self._fit = fit
        try:
            self._container: InputContainer = av.open(str(path))
        except (OSError, av.error.FFmpegError) as error:
            raise self._unusable(f"cannot be opened: {_reason(error)}") from None
        streams = self._container.streams
        self._video: VideoStream | None = streams.video[0] if streams.video else None
        self._audio: AudioStream | None = streams.audio[0] if streams.audio else None
        if self._video is None and self._audio is None:
            self._container.close()
            raise self._unusable("has neither video nor audio")

    @property
    def has_video(self) -> bool:
        return self._video is not None

    @property
    def has_audio(self) -> bool:
        return self._audio is not None

    def __enter__(self) -> Clip:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[LiveFrame | AudioChunk]:
        """Frames and chunks by their times, which count from the earliest of the file."""
        lanes: dict[bool, deque[LiveFrame | AudioChunk]] = {
            is_video: deque() for is_video, there in ((True, self.has_video), (False, self.has_audio)) if there
        }
        try:
            for item in self._decode():
                lanes[isinstance(item, LiveFrame)].append(item)
                while all(lanes.values()) or sum(map(len, lanes.values())) > _HELD:
                    yield min((lane for lane in lanes.values() if lane), key=lambda lane: lane[0].at).popleft()
        except av.error.FFmpegError as error:
            raise self._unusable(f"is damaged: {_reason(error)}") from None
        yield from sorted((item for lane in lanes.values() for item in lane), key=lambda item: item.at)

    def _decode(self) -> Iterator[LiveFrame | AudioChunk]:
        resampler = MonoResampler()
        zero = (self._container.start_time or 0) / av.time_base
        tracks = [stream for stream in (self._video, self._audio) if stream is not None]
        for packet in self._container.demux(*tracks):
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame) and frame.time is not None:
                    yield LiveFrame(frame, max(0.0, frame.time - zero), self._size, self._fit)
                elif isinstance(frame, av.AudioFrame) and frame.time is not None:
                    chunk = resampler.push(frame, max(0.0, frame.time - zero))
                    if chunk is not None:
                        yield chunk
        if (rest := resampler.restart()) is not None:
            yield rest

    def _unusable(self, why: str) -> InvalidInput:
        return InvalidInput(
            f"{self._path} {why}.", field="clip", remedy="Give a playable video or audio file (MP4, WebM, WAV …)."
        )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
