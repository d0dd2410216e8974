"""Which seconds of a picture must be encoded, and which show what the stream showed before.

A vision encoder's attention ends with its temporal patch (two frames, one second), so the tokens of a second depend on
its pixels alone: equal frames have equal tokens, and those of an earlier second may stand in for them exactly. A real
camera never gives equal frames, because its sensor is noisy. What changes in a scene changes the mean colour of some
small part of the picture; noise hardly does. A second is therefore compared with the last one that was *encoded* (not
the one just before, so that what changes slowly is noticed at last), and the measure is the largest change of any
block's mean: of each colour, in blocks a quarter of a token's side (7 x 7 pixels; Qwen3-Omni: 8 x 8), frame by frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["BLOCKS", "Shown", "change", "stands_in"]

BLOCKS = 4
"""Blocks along a side of a token."""


@dataclass(frozen=True)
class Shown:
    """The last second of a stream that was encoded.

    Attributes:
        frames: uint8 [2, height, width, 3] on the host, as the encoder saw them.
        tokens: [per_patch, hidden * (1 + levels)], what it made of them.
    """

    frames: Tensor
    tokens: Tensor


def change(one: Tensor, other: Tensor, side: int) -> float:
    """How much two seconds of picture differ.

    Args:
        one, other: uint8 [2, height, width, 3].
        side: of a block in pixels; divides height and width.

    Returns:
        the largest difference of a block's mean colour, in levels of 255.
    """
    count, height, width, colours = one.shape
    apart = (one.short() - other.short()).view(count, height // side, side, width // side, side, colours)
    return float(apart.sum(dim=(2, 4), dtype=torch.int32).abs().max()) / side**2


def stands_in(earlier: Tensor, now: Tensor, most: float, side: int) -> bool:
    """Whether the tokens of an earlier second may stand in for those of a later one.

    Args:
        earlier, now: uint8 [2, height, width, 3].
        most: levels of 255 that `change` may reach; 0: only where all pixels are equal.
        side: see `change`.
    """
    return torch.equal(earlier, now) or (most > 0 and change(earlier, now, side) <= most)
