"""Small media files for the tests of the client."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_clip(path: Path, *, seconds: float = 2.0, fps: int = 10, audio: bool = True) -> Path:
    """White for the first 0.2 s of each second and a 1 kHz tone at the same time; black and silence in between."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=fps)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        picture.bit_rate = 400_000
        sound = container.add_stream("pcm_s16le", rate=48_000, layout="mono") if audio else None
        times = np.arange(round(seconds * 48_000)) / 48_000
        tone = (np.sin(2 * np.pi * 1000 * times) * (times % 1 < 0.2) * 16_000).astype(np.int16)
        step = 48_000 // fps
        for i in range(round(seconds * fps)):
            level = 255 if i % fps < 0.2 * fps else 0
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, dtype=np.uint8), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, fps)
            container.mux(picture.encode(frame))
            if sound is not None:
                samples = av.AudioFrame.from_ndarray(tone[None, i * step : (i + 1) * step], format="s16", layout="mono")
                samples.sample_rate, samples.pts, samples.time_base = 48_000, i * step, Fraction(1, 48_000)
                container.mux(sound.encode(samples))
        container.mux(picture.encode(None))
    return path
