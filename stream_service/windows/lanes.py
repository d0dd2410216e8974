"""The two buffers of a windower: samples laid end to end, and the few frames that a grid may still want.

Positions are *ticks*: whole samples at 16 kHz since stream second 0, so that windows meet to the sample.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque

import numpy as np

from stream_service.types import SAMPLE_RATE, Samples, VideoFrame

FRAME_TICKS = SAMPLE_RATE // 2
"""One period of the 2 fps grid."""
PATCH_TICKS = SAMPLE_RATE
"""One temporal patch (two frames): the least that a window can hold."""
WINDOW_TICKS = 2 * PATCH_TICKS
TOLERANCE_TICKS = FRAME_TICKS // 2
"""A frame further than this from its grid time stands in for one that was lost."""


class AudioLane:
    """Samples from ``floor`` on, without holes: a gap is filled with zeros, an overlap is dropped.

    It holds no more than what the open window and the patience for the other track allow, since every window that
    closes takes its samples away.
    """

    def __init__(self) -> None:
        self.enabled = False
        self.end: int | None = None
        self._first = 0
        self._floor = 0
        self._begin = 0
        self._parts: deque[Samples] = deque()

    def push(self, at: int, samples: Samples) -> None:
        """Take samples that begin at tick ``at``; what was heard or given away before is ignored."""
        wanted = self._floor if self.end is None else max(self._floor, self.end)
        if at < wanted:
            samples, at = samples[wanted - at :], wanted
        if not len(samples):
            return
        if self.end is None:
            self._first = at
        if not self._parts:
            self._begin = at
        elif self.end is not None and at > self.end:
            self._parts.append(np.zeros(at - self.end, np.float32))
        self._parts.append(samples)
        self.end = at + len(samples)

    def present(self, start: int, end: int, stale: int) -> bool:
        """Whether the window ``[start, end)`` has sound, or had it less than ``stale`` ticks ago."""
        return self.enabled and self.end is not None and self.end > start - stale and self._first < end

    def take(self, start: int, end: int) -> Samples:
        """The samples of ``[start, end)`` (zeros where there are none); they and all before them leave the lane."""
        out = np.zeros(end - start, np.float32)
        while self._parts and self._begin < end:
            part = self._parts.popleft()
            low, high = max(self._begin, start), min(self._begin + len(part), end)
            if high > low:
                out[low - start : high - start] = part[low - self._begin : high - self._begin]
            if self._begin + len(part) > end:
                self._parts.appendleft(part[end - self._begin :])
                self._begin = end
            else:
                self._begin += len(part)
        self._floor = max(self._floor, end)
        return out

    def restart(self, floor: int) -> None:
        """Forget the sound: another source follows, and nothing before ``floor`` is wanted of it."""
        self.end = None
        self._floor = max(self._floor, floor)
        self._parts.clear()


class VideoLane:
    """The frames that a grid of 2 frames a second may want, whether or not a cut moves that grid.

    A frame stays when it is the latest at or before a grid time, and otherwise only so that no two neighbours are more
    than half a grid period apart: at most six frames for each second that is not yet in a window. Those are converted
    at once: the decoder's pictures, whose size is the camera's choice, are let go, and a question finds them ready.
    """

    def __init__(self) -> None:
        self.enabled = False
        self.newest: int | None = None
        self._ticks: list[int] = []
        self._frames: list[VideoFrame] = []

    def push(self, at: int, frame: VideoFrame, grid: int) -> None:
        """Take the frame of tick ``at``; one that is not newer than the last is ignored. ``grid`` is a grid time."""
        if self.newest is not None and at <= self.newest:
            return
        if len(self._ticks) >= 2 and not self._wanted(self._ticks[-2], self._ticks[-1], at, grid):
            del self._ticks[-1], self._frames[-1]
        elif self._frames:
            self._frames[-1].pixels()
        self._ticks.append(at)
        self._frames.append(frame)
        self.newest = at

    @staticmethod
    def _wanted(before: int, last: int, new: int, grid: int) -> bool:
        on_grid = (last - grid - 1) // FRAME_TICKS != (new - grid - 1) // FRAME_TICKS
        return on_grid or new - before > TOLERANCE_TICKS

    def present(self, start: int, end: int, stale: int) -> bool:
        """Whether the window ``[start, end]`` has a picture, or had one less than ``stale`` ticks ago."""
        place = bisect_right(self._ticks, end)
        return self.enabled and place > 0 and self._ticks[place - 1] > start - stale

    def pick(self, grid: int, end: int) -> tuple[VideoFrame, bool]:
        """The latest frame at or before ``grid`` (the first one after it where there is none before).

        A ``grid`` time past ``end`` is padding and shows what ``end`` shows. The flag says that the frame stands in
        for a lost one. The window must be :meth:`present`.
        """
        wanted = min(grid, end)
        place = max(bisect_right(self._ticks, wanted) - 1, 0)
        lost = grid < end and abs(self._ticks[place] - grid) > TOLERANCE_TICKS
        return self._frames[place], lost

    def drop_before(self, tick: int) -> None:
        """Forget all frames before ``tick`` but the latest of them, which the next window may have to repeat."""
        keep = max(bisect_right(self._ticks, tick) - 1, 0)
        del self._ticks[:keep], self._frames[:keep]

    def restart(self) -> None:
        """Forget the picture: another source follows."""
        self.newest = None
        self._ticks.clear()
        self._frames.clear()
