"""A file or a device as pictures and sound on one clock: media seconds, from 0 at its first frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from clients.python.errors import SourceError

SOUND_RATE = 48_000
"""Hz: Opus' clock."""
_DEVICES = frozenset({"v4l2", "x11grab", "alsa", "pulse", "lavfi", "avfoundation", "dshow", "gdigrab"})
"""Prefixes of device names, as in ``x11grab::0``; the name after the colon is ffmpeg's for that device."""
_GAP_S = 0.04
"""A frame that comes later (or earlier) than this begins a new run of samples; less is the rounding of its stamp."""

Pcm = NDArray[np.int16]
"""int16 ``[n]``: mono sound at 48 kHz."""


@dataclass(frozen=True, slots=True)
class Picture:
    at: float
    frame: av.VideoFrame


@dataclass(frozen=True, slots=True)
class Sound:
    """``at`` is the time of the first sample."""

    at: float
    samples: Pcm


class Source:
    """``name`` is a path, a URL, a ``/dev/video…`` node, or ``FORMAT:DEVICE`` (v4l2, x11grab, alsa, lavfi …).

    Raises :class:`SourceError` when it cannot be opened or has neither a picture nor sound.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        prefix, _, device = name.partition(":")
        self._format: str | None = None
        self._target = name
        if name.startswith("/dev/video"):
            self._format = "v4l2"
        elif prefix in _DEVICES and device:
            self._format, self._target = prefix, device
        self.live = self._format is not None and self._format != "lavfi"
        """Whether frames come at their own pace, so that they cannot be read ahead or again."""
        with self._open() as container:
            self.has_video = bool(container.streams.video)
            self.has_audio = bool(container.streams.audio)
        if not (self.has_video or self.has_audio):
            raise SourceError(f"{name} has neither a picture nor sound.", remedy="Give a video or audio file.")

    def play(self) -> Iterator[Picture | Sound]:
        """Decode once from the beginning to the end, in the order in which the container holds the frames.

        Raises :class:`SourceError` when the data is damaged.
        """
        with self._open() as container:
            tracks = [*container.streams.video[:1], *container.streams.audio[:1]]
            sound = _SoundRun()
            zero = None if self.live or container.start_time is None else container.start_time / av.time_base
            try:
                for frame in container.decode(*tracks):
                    if not isinstance(frame, av.VideoFrame | av.AudioFrame) or frame.time is None:
                        continue
                    zero = frame.time if zero is None else zero
                    at = max(0.0, frame.time - zero)
                    if isinstance(frame, av.VideoFrame):
                        yield Picture(at, frame)
                    else:
                        yield from sound.push(frame, at)
                yield from sound.end()
            except av.error.FFmpegError as error:
                raise SourceError(
                    f"{self.name} is damaged: {error.strerror}", remedy="Play it elsewhere, or encode it anew."
                ) from error

    def _open(self) -> InputContainer:
        try:
            return av.open(self._target, format=self._format)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise SourceError(
                f"{self.name} cannot be opened: {getattr(error, 'strerror', None) or error}",
                remedy="Give a video or audio file, /dev/video0, or FORMAT:DEVICE such as x11grab::0.0.",
            ) from error


def read_sound(path: str) -> Pcm:
    """All of a sound file, mono at 48 kHz. Raises :class:`SourceError`."""
    source = Source(path)
    if not source.has_audio:
        raise SourceError(f"{path} has no sound.", remedy="Give a WAV file with the spoken question.")
    sounds = [item.samples for item in source.play() if isinstance(item, Sound)]
    return np.concatenate(sounds) if sounds else np.zeros(0, dtype=np.int16)


class _SoundRun:
    """Conversion to mono at 48 kHz without loss: a sample's time is counted from the first one of an unbroken run."""

    def __init__(self) -> None:
        self._restart(0.0)

    def push(self, frame: av.AudioFrame, at: float) -> Iterator[Sound]:
        if abs(at - self._start - self._taken) > _GAP_S:
            yield from self.end()
            self._restart(at)
        self._taken += frame.samples / frame.sample_rate
        frame.pts = None
        yield from self._convert(frame)

    def end(self) -> Iterator[Sound]:
        """What the converter still holds."""
        if self._taken:
            yield from self._convert(None)

    def _restart(self, at: float) -> None:
        # 1.0: several channels are averaged, not summed, so that they neither clip nor grow louder.
        options = {"rematrix_maxval": "1.0"}
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SOUND_RATE, options=options)
        self._start, self._taken, self._given = at, 0.0, 0

    def _convert(self, frame: av.AudioFrame | None) -> Iterator[Sound]:
        for converted in self._resampler.resample(frame):
            yield Sound(
                self._start + self._given / SOUND_RATE, converted.to_ndarray().reshape(-1).astype(np.int16, copy=False)
            )
            self._given += converted.samples
