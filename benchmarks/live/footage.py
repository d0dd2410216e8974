"""Scenes as a camera of 640 x 480 shows them: the square picture between black pillars, written to a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from nano_omni.world import Script, pack, synthesise
from nano_omni.world.clip import render_stream, write_clip

WIDTH, HEIGHT = 640, 480
FPS = 10
"""Frames a second: each picture of the model's 2 a second is among them."""
_DRAWN = 240
"""Side at which scenes are drawn, in pixels, before they are enlarged: the model sees 168, and drawing costs most."""


def film(script: Script, path: Path) -> None:
    """Write a scene with its sound as an .mp4 file."""
    samples = synthesise(pack([script]))[0].numpy()
    write_clip(path, map(pillarboxed, render_stream(script, _DRAWN, FPS)), samples, FPS)


def pillarboxed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A square RGB picture, uint8 [n, n, 3], enlarged to the camera's height, in the middle of its width."""
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    large = interpolate(pixels, (HEIGHT, HEIGHT), mode="bilinear", align_corners=False)
    frame = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    left = (WIDTH - HEIGHT) // 2
    frame[:, left : left + HEIGHT] = large[0].permute(1, 2, 0).round().to(torch.uint8).numpy()
    return frame
