"""A media file as a source: the same frames and samples that a live source would give, in the order of their times."""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Iterator
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from stream_service.errors import InvalidInput
from stream_service.media.audio import MonoResampler
from stream_service.media.frames import LiveFrame
from stream_service.types import AudioChunk, Fit


class Clip:
    """A file's first video and first audio track, decoded while iterating; close it, or use it in a ``with`` block.

    Each track is read by a reader of its own, so that nothing waits for the other one, however the file interleaves
    them and however late one of them starts: one picture and one chunk are held.

    Raises InvalidInput (field ``clip``) when the file cannot be opened, has neither track, or is damaged; the last one
    while iterating.
    """

    def __init__(self, path: Path, size: tuple[int, int], fit: Fit) -> None:
        self._path = path
        self._size = size
        self._fit = fit
        with contextlib.ExitStack() as opened:
            first, second = (opened.enter_context(self._open()) for _ in range(2))
            self._tracks: list[tuple[InputContainer, VideoStream | AudioStream]] = [
                *((first, track) for track in first.streams.video[:1]),
                *((second, track) for track in second.streams.audio[:1]),
            ]
            if not self._tracks:
                raise self._unusable("has neither video nor audio")
            self._readers = opened.pop_all()

    @property
    def has_video(self) -> bool:
        return any(isinstance(track, VideoStream) for _, track in self._tracks)

    @property
    def has_audio(self) -> bool:
        return any(isinstance(track, AudioStream) for _, track in self._tracks)

    def __enter__(self) -> Clip:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._readers.close()

    def __iter__(self) -> Iterator[LiveFrame | AudioChunk]:
        """Frames and chunks by their times, which count from the earliest of the file."""
        try:
            yield from heapq.merge(*(self._decode(*one) for one in self._tracks), key=lambda item: item.at)
        except av.error.FFmpegError as error:
            raise self._unusable(f"is damaged: {_reason(error)}") from None

    def _open(self) -> InputContainer:
        try:
            if self._path.is_fifo():
                raise self._unusable("is a pipe, and must be read twice")
            return av.open(str(self._path))
        except (OSError, av.error.FFmpegError) as error:
            raise self._unusable(f"cannot be opened: {_reason(error)}") from None

    def _decode(self, reader: InputContainer, track: VideoStream | AudioStream) -> Iterator[LiveFrame | AudioChunk]:
        resampler = MonoResampler()
        zero = (reader.start_time or 0) / av.time_base
        for packet in reader.demux(track):
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
