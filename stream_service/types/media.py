"""Media between the stages: pictures, sound, what interrupts them, and the windows they are cut into."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

FramePixels = NDArray[np.uint8]
"""uint8 ``[H, W, 3]``, RGB, rotated upright."""
Samples = NDArray[np.float32]
"""float32 ``[n]``, mono, 16 kHz, in [-1, 1]."""

SAMPLE_RATE = 16_000
"""Hz, of every sample array between the stages."""

Fit = Literal["crop", "letterbox"]
"""How a picture of another shape is brought to the model's: its centre, or all of it on black."""


class VideoFrame(Protocol):
    """One decoded picture. Pixels are converted only for the few frames that a window keeps."""

    @property
    def at(self) -> float:
        """Stream seconds."""
        ...

    @property
    def source_size(self) -> tuple[int, int]:
        """Width and height as sent (after rotation), to notice a change of resolution."""
        ...

    def pixels(self) -> FramePixels:
        """The picture scaled (cropped or letterboxed) to the model's frame size."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class AudioChunk:
    """Consecutive samples; ``at`` is the time of the first one."""

    at: float
    samples: Samples

    @property
    def end(self) -> float:
        return self.at + len(self.samples) / SAMPLE_RATE


class BreakKind(StrEnum):
    """Why what follows cannot continue the segment before it."""

    GAP = "gap"
    RESOLUTION = "resolution"
    TRACK = "track"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class MediaBreak:
    """The stream's continuity ended at ``at``; the next window opens a new segment."""

    at: float
    kind: BreakKind


class MediaSink(Protocol):
    """Where a source's media goes. Called on the event loop; must return at once and may never raise."""

    def on_tracks(self, *, video: bool, audio: bool) -> None:
        """The source was negotiated, or negotiated again, with these tracks."""

    def on_video(self, frame: VideoFrame) -> None: ...

    def on_audio(self, chunk: AudioChunk) -> None: ...

    def on_break(self, brk: MediaBreak) -> None: ...

    def on_lost(self, reason: str) -> None:
        """No media can arrive until the source comes back (connection failed, ended, or silent for too long)."""

    def on_back(self) -> None:
        """Media flows again after :meth:`on_lost`."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What the engine fuses at once: 2 s of media, or 1 s when a question closed it early.

    ``frames`` is uint8 ``[T, H, W, 3]`` at 2 frames a second (T = 4 or 2), or None without video; ``samples`` is
    float32 ``[T / 2 * 16000]``, or None without audio. ``end`` is where media was cut; a closing window is completed to
    whole temporal patches (1 s) by repeating its last frame and by silence, never by waiting.
    """

    session: str
    index: int
    start: float
    end: float
    frames: NDArray[np.uint8] | None
    samples: Samples | None
    new_segment: bool = False
    lost_frames: int = 0


@dataclass(frozen=True, slots=True)
class Published:
    """A source was negotiated (RFC 9725 §4.2): the SDP answer and the entity tag of its ICE session."""

    answer: str
    etag: str


@dataclass(frozen=True, slots=True)
class Trickled:
    """The outcome of a PATCH (RFC 9725 §4.3): both fields are set after an ICE restart, neither after plain trickle."""

    answer: str | None = None
    etag: str | None = None
