"""Streams as files and as moving pictures at any frame rate."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import cast

import av
import numpy as np
import torch
from numpy.typing import NDArray

from nano_omni.world.entities import TICKS, Script
from nano_omni.world.pack import pack
from nano_omni.world.render import render
from nano_omni.world.sound import RATE

SOUND_STEP = 1024
FORMATS = {".mp4": ("libx264", "aac"), ".webm": ("libvpx-vp9", "libopus")}
BATCH, CHUNK = 60, 64
"""Frames a call draws, which share their backgrounds, and how many of 168 x 168 at a time: about 200 MiB."""


def render_stream(script: Script, size: int = 480, fps: int = TICKS) -> Iterator[NDArray[np.uint8]]:
    """Draw a stream frame by frame; those at multiples of half a second equal `render`'s at the same size.

    Args:
        script: the stream.
        size: side of the square frames in pixels.
        fps: frames a second, a divisor of 30.

    Yields:
        uint8 [size, size, 3], RGB.

    Raises:
        ValueError: 30 is not a multiple of `fps`.
    """
    if fps < 1 or TICKS % fps:
        raise ValueError(f"the frame rate must divide {TICKS}, and {fps} does not")
    packed = pack([script])
    ticks = torch.arange(0, script.seconds * TICKS, TICKS // fps)
    for at in range(0, len(ticks), BATCH):
        yield from render(packed, size=size, ticks=ticks[at : at + BATCH], chunk=CHUNK)[0].numpy()


def write_clip(
    path: str | Path, frames: Iterable[NDArray[np.uint8]], samples: NDArray[np.float32], fps: int = TICKS
) -> None:
    """Write pictures and sound to a file: H.264 and AAC in .mp4, VP9 and Opus in .webm.

    Args:
        path: where to; its suffix names the format.
        frames: uint8 [height, width, 3], RGB, all of one size, both even.
        samples: float32 [N], mono at 16 kHz in [-1, 1].
        fps: frames a second.

    Raises:
        ValueError: another suffix, or no frames.
    """
    target = Path(path)
    if target.suffix not in FORMATS:
        raise ValueError(f"{target.name}: a clip's name ends in {' or '.join(FORMATS)}")
    pictures = iter(frames)
    first = next(pictures, None)
    if first is None:
        raise ValueError("a clip needs at least one frame")
    video_codec, audio_codec = FORMATS[target.suffix]
    with av.open(str(target), "w") as container:
        video = cast(av.VideoStream, container.add_stream(video_codec, rate=fps))
        video.height, video.width = first.shape[:2]
        video.pix_fmt = "yuv420p"
        video.options = {"crf": "20"} if target.suffix == ".mp4" else {"crf": "30", "b:v": "0", "cpu-used": "5"}
        # Opus knows no 16 kHz container rate; the encoder's resampler makes 48 kHz of it.
        rate = RATE if target.suffix == ".mp4" else 48_000
        audio = cast(av.AudioStream, container.add_stream(audio_codec, rate=rate, layout="mono"))
        audio.bit_rate = 96_000
        resampler = av.AudioResampler("fltp" if audio_codec == "aac" else "flt", "mono", rate)
        sound, sent = _sound_frames(samples), 0
        for at, picture in enumerate(chain([first], pictures)):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, fps)
            container.mux(video.encode(frame))
            # Sound follows the pictures, so that a player reading from the front finds both together.
            due = min(len(sound), (at + 1) * RATE // (fps * SOUND_STEP))
            for block in sound[sent:due]:
                for part in resampler.resample(block):
                    container.mux(audio.encode(part))
            sent = due
        for rest in (*sound[sent:], None):
            for part in resampler.resample(rest):
                container.mux(audio.encode(part))
        container.mux(video.encode())
        container.mux(audio.encode())


def _sound_frames(samples: NDArray[np.float32]) -> list[av.AudioFrame]:
    """Cut samples into frames of 64 ms with their times."""
    frames = []
    for at in range(0, len(samples), SOUND_STEP):
        block = np.ascontiguousarray(samples[None, at : at + SOUND_STEP])
        frame = av.AudioFrame.from_ndarray(block, format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
        frames.append(frame)
    return frames
