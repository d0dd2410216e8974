"""A file as windows, cut as a live source would be: nothing of what comes after a moment is seen before it."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pruner import RawWindow

__all__ = ["Footage"]

RATE = 16_000
FPS = 2
WINDOW = 2
_SLIVER = 0.25  # seconds at the end that make no second of their own: codecs pad, time stamps are rounded


class Footage:
    """A file's first video and audio track, read forwards.

    Args:
        path: of the file.
        height, width: pixels that a frame is shrunk to fit into, its shape kept.

    Attributes:
        position: whole seconds that have been cut into windows.
        seconds: length of the file.
    """

    def __init__(self, path: Path, height: int, width: int) -> None:
        self.position = 0
        self._size = height, width
        self._samples = _sound(path)
        self._container = av.open(str(path))
        video = self._container.streams.video
        self._frames = iter(self._container.decode(video[0])) if video else iter(())
        self._zero = (self._container.start_time or 0) / av.time_base
        self._next: av.VideoFrame | None = next(self._frames, None)
        self._shown: NDArray[np.uint8] | None = None
        length = (self._container.duration or 0) / av.time_base
        heard = 0 if self._samples is None else len(self._samples) / RATE
        self.seconds = max(length, heard)

    def close(self) -> None:
        """Lets the file go."""
        self._container.close()

    def windows(self, until: float | None) -> Iterator[RawWindow]:
        """What has not been cut yet, up to `until` seconds (None: the end); its last second is filled up.

        Frames are those that were on at their time; an unfinished second repeats its last frame and falls silent.
        """
        end = self.seconds if until is None else min(until, self.seconds)
        last = max(1, ceil(end - _SLIVER))
        while self.position < last:
            start, stop = self.position, min(self.position + WINDOW, last)
            self.position = stop
            times = [min(start + index / FPS, end) for index in range(FPS * (stop - start))]
            pictures = [self._at(time) for time in times]
            frames = np.stack([one for one in pictures if one is not None]) if pictures[0] is not None else None
            yield RawWindow(float(start), frames, self._heard(start, stop, end))

    def _at(self, time: float) -> NDArray[np.uint8] | None:
        """The frame on at a time, RGB; the first one before it began."""
        newest: av.VideoFrame | None = None
        while self._next is not None and (
            (self._next.time or 0.0) - self._zero <= time or (self._shown is None and newest is None)
        ):
            newest, self._next = self._next, next(self._frames, None)
        if newest is not None:
            height, width = self._size
            factor = min(height / newest.height, width / newest.width, 1.0)
            small = newest.reformat(max(2, int(newest.width * factor)), max(2, int(newest.height * factor)), "rgb24")
            self._shown = np.asarray(small.to_ndarray(), dtype=np.uint8)
        return self._shown

    def _heard(self, start: int, stop: int, end: float) -> NDArray[np.float32] | None:
        if self._samples is None:
            return None
        samples = np.zeros(RATE * (stop - start), dtype=np.float32)
        there = self._samples[RATE * start : min(RATE * stop, round(RATE * end))]
        samples[: len(there)] = there
        return samples


def _sound(path: Path) -> NDArray[np.float32] | None:
    """All samples, 16 kHz mono; None without an audio track."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        parts = [
            piece.to_ndarray()[0]
            for frame in container.decode(container.streams.audio[0])
            for piece in resampler.resample(frame)
        ]
        parts += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    return np.concatenate(parts).astype(np.float32).clip(-1, 1) if parts else None
