"""Camera frames to the patches a Qwen vision encoder reads.

A *temporal patch* is two frames (1 s at 2 fps). A *patch* is 14 x 14 pixels of both frames (Qwen3-Omni: 16 x 16), for
the three colours: 1,176 numbers. Four neighbouring patches (2 x 2) become one token; Qwen's order therefore walks the
picture in blocks of 2 x 2.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["HALF", "MERGE", "PATCH", "TEMPORAL", "Range", "fit", "grid_size", "patchify"]

PATCH = 14
"""Pixels along a side of a patch."""

MERGE = 2
"""Patches along a side of a token."""

TEMPORAL = 2
"""Frames in a temporal patch."""

Range = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Mean and standard deviation of the three colours, of 1, that an encoder takes as 0 and 1."""

CLIP: Range = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
HALF: Range = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@lru_cache(maxsize=4)
def _scale(device: torch.device, normal: Range) -> tuple[Tensor, Tensor]:
    """Factor and offset that take a byte to the encoder's normal range, each float32 [3]."""
    mean, std = (torch.tensor(values, dtype=torch.float64) for values in normal)
    return (1.0 / (255.0 * std)).float().to(device), (-mean / std).float().to(device)


@lru_cache(maxsize=64)
def grid_size(height: int, width: int, tokens: int) -> tuple[int, int]:
    """Rows and columns of tokens, at most `tokens` in all, whose shape is nearest to a picture of `height` x `width`.

    Where several grids are as near, the one with more tokens wins.
    """
    wanted = math.log(height / width)

    def loss(rows: int, columns: int) -> tuple[float, int]:
        # a badly filled grid is as bad as a distorted one: both lose detail
        return abs(math.log(rows / columns) - wanted) + abs(math.log(rows * columns / tokens)), -rows * columns

    grids = [(rows, columns) for rows in range(1, tokens + 1) for columns in range(1, tokens // rows + 1)]
    return min(grids, key=lambda grid: loss(*grid))


def fit(frames: Tensor, height: int, width: int) -> Tensor:
    """Scale frames to `height` x `width` without distortion; what the shape leaves free is black.

    Args:
        frames: uint8 [T, H, W, 3].

    Returns:
        uint8 [T, height, width, 3]; the very same tensor when nothing is to be done.
    """
    source_height, source_width = frames.shape[1:3]
    if (source_height, source_width) == (height, width):
        return frames
    factor = min(height / source_height, width / source_width)
    inner = (min(height, max(1, round(source_height * factor))), min(width, max(1, round(source_width * factor))))
    planes = frames.permute(0, 3, 1, 2).float()
    scaled = functional.interpolate(planes, size=inner, mode="bilinear", antialias=True, align_corners=False)
    top, side = (height - inner[0]) // 2, (width - inner[1]) // 2
    padding = (side, width - inner[1] - side, top, height - inner[0] - top)
    bytes_ = scaled.round_().clamp_(0, 255).to(torch.uint8)
    return functional.pad(bytes_, padding).permute(0, 2, 3, 1).contiguous()


def patchify(frames: Tensor, *, dtype: torch.dtype = torch.float32, patch: int = PATCH, normal: Range = CLIP) -> Tensor:
    """Patches of `B` streams in the order Qwen's vision encoders read them.

    Args:
        frames: uint8 [B, T, H, W, 3] RGB; T even, H and W multiples of `2 * patch`.
        patch: pixels along a side.
        normal: see `Range`.

    Returns:
        [B * T/2 * H/patch * W/patch, 6 * patch * patch] of `dtype`; inside a row: colour, frame, row, column.
    """
    batch, count, height, width, colours = frames.shape
    block = patch * MERGE
    if count % TEMPORAL or height % block or width % block or colours != 3:
        raise ValueError(f"frames must be [B, even T, multiple of {block}, multiple of {block}, 3], got {frames.shape}")
    factor, offset = _scale(frames.device, normal)
    scaled = frames.float().mul_(factor).add_(offset).to(dtype)
    blocks = scaled.view(
        batch * (count // TEMPORAL), TEMPORAL, height // block, MERGE, patch, width // block, MERGE, patch, colours
    )
    ordered = blocks.permute(0, 2, 5, 3, 6, 8, 1, 4, 7)
    return ordered.reshape(-1, colours * TEMPORAL * patch * patch)
