"""Films a scene as Chromium's fake camera and microphone play it, with questions spoken into it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from nano_omni.world import Script, make_script, pack, synthesise
from nano_omni.world.clip import render_stream
from nano_omni.world.entities import TICKS

WIDTH, HEIGHT = 640, 480
RATE = 16_000
CAMERA_FPS = 30
"""What Chromium assumes of an .mjpeg file."""
DRAWN_FPS = 5


@dataclass(frozen=True)
class Spoken:
    """A question said into the microphone from ``start`` to ``end``, in seconds."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Footage:
    """The files for a fake camera and a fake microphone, and what is in them."""

    camera: Path
    microphone: Path
    script: Script
    spoken: tuple[Spoken, ...]


def star_then_circle(windows: int = 7) -> Script:
    """A red star for 3 s, a bell meanwhile, then a blue circle that stays: its colour is beyond doubt from 4 s on."""
    star, circle, bell = (make_script(seed, 6) for seed in (9_100_010, 9_100_253, 9_200_000))
    first = replace(star.scenes[1], start=0, end=3 * TICKS)
    then = replace(circle.scenes[2], start=3 * TICKS, end=2 * windows * TICKS)
    rung = replace(next(sound for sound in bell.sounds if sound.kind == "bell"), start=TICKS, level=0.5)
    return replace(star, windows=windows, scenes=(first, then), sounds=(rung,))


def film(folder: Path, script: Script, questions: Sequence[tuple[float, str]] = ()) -> Footage:
    """Write the files of ``script`` into ``folder``, each question said from its second on."""
    samples = synthesise(pack([script]))[0].numpy().copy()
    spoken = tuple(_say(samples, text, at, folder) for at, text in questions)
    _write_sound(folder / "microphone.wav", samples)
    _write_pictures(folder / "camera.mjpeg", script)
    return Footage(folder / "camera.mjpeg", folder / "microphone.wav", script, spoken)


def _say(samples: NDArray[np.float32], text: str, at: float, folder: Path) -> Spoken:
    wav = folder / "question.wav"
    subprocess.run(["flite", "-voice", "rms", "-t", text, "-o", str(wav)], check=True)
    with av.open(str(wav)) as said:
        resampler = av.AudioResampler("flt", "mono", RATE)
        parts = [part.to_ndarray()[0] for frame in said.decode(audio=0) for part in resampler.resample(frame)]
        parts += [part.to_ndarray()[0] for part in resampler.resample(None)]
    voice = np.concatenate(parts)
    voice *= 0.5 / np.abs(voice).max()
    first = round(at * RATE)
    samples[first : first + len(voice)] += voice
    return Spoken(text, at, at + len(voice) / RATE)


def _write_sound(path: Path, samples: NDArray[np.float32]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        pcm = (np.clip(samples, -1, 1) * 32_767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _write_pictures(path: Path, script: Script) -> None:
    """The square scene in the middle of a 640 x 480 picture."""
    with av.open(str(path), "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=CAMERA_FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        stream.options = {"qmin": "2", "qmax": "4"}
        number = 0
        for picture in render_stream(script, HEIGHT, DRAWN_FPS):
            wide = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            wide[:, (WIDTH - HEIGHT) // 2 : (WIDTH + HEIGHT) // 2] = picture
            for _ in range(CAMERA_FPS // DRAWN_FPS):
                frame = av.VideoFrame.from_ndarray(wide, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, CAMERA_FPS)
                container.mux(stream.encode(frame))
                number += 1
        container.mux(stream.encode(None))
