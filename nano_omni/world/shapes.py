"""Signed distances of the shapes, sampled once on a small grid that the renderer looks up."""

from functools import cache
from math import cos, pi, sin

import numpy as np
import torch
from numpy.typing import NDArray

from nano_omni.world.vocabulary import SHAPES

ATLAS_SIDE = 96
ATLAS_REACH = 1.3
"""The atlas covers [-1.3, 1.3] in units of the object's radius, so that an edge can fade outside it."""

Points = list[tuple[float, float]]


@cache
def atlas() -> torch.Tensor:
    """Return float64 [shapes, 96, 96]: distance to the outline in radii, negative inside; rows run down."""
    axis = np.linspace(-ATLAS_REACH, ATLAS_REACH, ATLAS_SIDE)
    x, y = np.meshgrid(axis, axis)
    fields = {"circle": np.hypot(x, y) - 0.92}
    fields |= {name: _polygon(x, y, points) for name, points in _outlines().items()}
    return torch.from_numpy(np.stack([fields[shape] for shape in SHAPES]))


def _outlines() -> dict[str, Points]:
    """Return the corners of each shape but the circle, within the unit disc, y down."""
    side, arm = 0.78, 0.27
    star = [
        (radius * sin(turn), -radius * cos(turn))
        for turn, radius in ((pi * at / 5, 1.0 if at % 2 == 0 else 0.42) for at in range(10))
    ]
    turns = [2 * pi * at / 60 for at in range(60)]
    # The familiar parametric heart curve, 32 units wide, about 29 tall.
    heart = [
        (
            16 * sin(turn) ** 3 / 17.5,
            -(13 * cos(turn) - 5 * cos(2 * turn) - 2 * cos(3 * turn) - cos(4 * turn) + 2.5) / 17.5,
        )
        for turn in turns
    ]
    return {
        "square": [(-side, -side), (side, -side), (side, side), (-side, side)],
        "triangle": [(0.0, -0.95), (0.92, 0.7), (-0.92, 0.7)],
        "star": star,
        "cross": [
            (-arm, -0.95), (arm, -0.95), (arm, -arm), (0.95, -arm), (0.95, arm), (arm, arm),
            (arm, 0.95), (-arm, 0.95), (-arm, arm), (-0.95, arm), (-0.95, -arm), (-arm, -arm),
        ],
        "heart": heart,
    }  # fmt: skip


def _polygon(x: NDArray[np.float64], y: NDArray[np.float64], points: Points) -> NDArray[np.float64]:
    """Return the signed distance to a closed polygon: least distance to its edges, signed by ray crossings."""
    nearest = np.full_like(x, np.inf)
    inside = np.zeros(x.shape, bool)
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        along_x, along_y = x1 - x0, y1 - y0
        share = np.clip(((x - x0) * along_x + (y - y0) * along_y) / (along_x**2 + along_y**2), 0, 1)
        nearest = np.minimum(nearest, np.hypot(x - x0 - share * along_x, y - y0 - share * along_y))
        crosses = (y0 > y) != (y1 > y)
        if along_y:
            inside ^= crosses & (x < x0 + (y - y0) * along_x / along_y)
    return np.where(inside, -nearest, nearest)
