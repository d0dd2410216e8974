"""Backgrounds of scenes: plain, gradient, noisy, patterned, or a room. Drawn once a scene, sampled by every frame."""

from collections.abc import Callable
from math import pi

import torch
from torch import Tensor

from nano_omni.world.entities import MOST_PROPS
from nano_omni.world.hashing import noise
from nano_omni.world.pack import PROP, SCENE
from nano_omni.world.vocabulary import BACKGROUNDS

SIDE = 144
"""Pixels of a background; frames of any size sample the same picture, a little soft as a background is."""
MARGIN = 0.05
"""How far a background reaches beyond the frame on each side, for the camera's shake."""


def draw_backgrounds(scenes: Tensor, props: Tensor, seeds: Tensor, dtype: torch.dtype) -> Tensor:
    """Draw the background of every scene.

    Args:
        scenes: [N, len(SCENE)] rows of `Packed.scenes`.
        props: [N, MOST_PROPS, len(PROP)].
        seeds: int64 [N]; the seed of the stream each scene belongs to.
        dtype: of the result.

    Returns:
        [N, 3, 144, 144] in [0, 1], over [-0.05, 1.05] of the frame both ways.
    """
    scenes, props = scenes.to(dtype), props.to(dtype)
    step = (1 + 2 * MARGIN) / SIDE
    axis = (torch.arange(SIDE, device=scenes.device, dtype=dtype) + 0.5) * step - MARGIN
    x, y = axis.view(1, 1, -1), axis.view(1, -1, 1)

    def column(name: str) -> Tensor:
        return scenes[:, SCENE[name]].view(-1, 1, 1)

    grain = _value_noise(x, y, column("scale"), column("phase"), seeds)
    share = _pattern(x, y, column, grain)
    first = torch.stack([scenes[:, SCENE[name]] for name in ("red1", "green1", "blue1")], 1)[:, :, None, None]
    second = torch.stack([scenes[:, SCENE[name]] for name in ("red2", "green2", "blue2")], 1)[:, :, None, None]
    picture = torch.lerp(first, second, share[:, None])
    for slot in range(MOST_PROPS):
        prop = props[:, slot, :, None, None]
        wide, high = prop[:, PROP["half_w"]].clamp(min=1e-3), prop[:, PROP["half_h"]].clamp(min=1e-3)
        right, below = (x - prop[:, PROP["x"]]).abs(), (y - prop[:, PROP["y"]]).abs()
        box = torch.maximum(right - wide, below - high)
        oval = (torch.sqrt((right / wide) ** 2 + (below / high) ** 2) - 1) * torch.minimum(wide, high)
        outside = torch.where(prop[:, PROP["round"]] > 0, oval, box)
        cover = (0.5 - outside / (2 * step)).clamp(0, 1) * prop[:, PROP["there"]]
        picture = torch.lerp(picture, prop[:, PROP["red"] : PROP["blue"] + 1], cover[:, None])
    roughness = 0.08 * _is(column("kind"), "room", dtype)
    return picture * (1 + roughness * (grain - 0.5))[:, None]


def _is(kinds: Tensor, name: str, dtype: torch.dtype) -> Tensor:
    """Return 1 where the kind is the named one, else 0."""
    return (kinds == BACKGROUNDS.index(name)).to(dtype)


def _pattern(x: Tensor, y: Tensor, column: Callable[[str], Tensor], grain: Tensor) -> Tensor:
    """Return how far each pixel is on the way from a background's first colour to its second, [N, SIDE, SIDE]."""
    cos, sin = torch.cos(column("angle")), torch.sin(column("angle"))
    along = (x - 0.5) * cos + (y - 0.5) * sin
    across = (y - 0.5) * cos - (x - 0.5) * sin
    turn, kind, phase = 2 * pi * column("scale"), column("kind"), 2 * pi * column("phase")
    shares = {
        "gradient": along + 0.5,
        "noisy": grain,
        "stripes": 0.5 + 2 * torch.sin(turn * along + phase),
        "checks": 0.5 + 3 * torch.sin(turn / 2 * along + phase) * torch.sin(turn / 2 * across),
        "dots": 0.5 + 2 * (torch.cos(turn * along + phase) + torch.cos(turn * across) - 1.0),
        "room": 0.5 + (y - column("phase")) * (SIDE / 2),
    }
    share = torch.zeros_like(grain)
    for name, value in shares.items():
        share = torch.where(kind == BACKGROUNDS.index(name), value, share)
    return share.clamp(0, 1)


def _value_noise(x: Tensor, y: Tensor, scale: Tensor, phase: Tensor, seeds: Tensor) -> Tensor:
    """Return smooth noise in [0, 1] of `scale` cells across the frame, [N, SIDE, SIDE]."""
    across, down = x * scale + 7 * phase + 8, y * scale + 8
    column, row = across.floor(), down.floor()
    right, below = across - column, down - row
    right, below = right * right * (3 - 2 * right), below * below * (3 - 2 * below)
    start = (seeds & 0xFFFF).to(torch.int32).view(-1, 1, 1) * 17389
    corner = start + column.to(torch.int32) + 131 * row.to(torch.int32)
    top = torch.lerp(noise(corner, x.dtype), noise(corner + 1, x.dtype), right)
    bottom = torch.lerp(noise(corner + 131, x.dtype), noise(corner + 132, x.dtype), right)
    return (torch.lerp(top, bottom, below) + 1) / 2
