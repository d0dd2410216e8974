"""Position ids of a live conversation, on three axes (time, row, column).

They equal transformers' `get_rope_index` on the whole sequence, but can be written down as the stream flows. Text moves
all three axes by one. Inside a segment that begins at `b`, second `s` has time `b + 25 s`: video tokens carry their row
and column besides, audio tokens (25 a second) count on. `<|vision_bos|><|audio_bos|>` share one id, so do the two that
end a segment.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["IDS_PER_SECOND", "audio_ids", "segment_end", "text_ids", "video_ids"]

IDS_PER_SECOND = 25
"""`position_id_per_seconds` of every published Qwen Omni model; also its audio tokens a second."""


def text_ids(first: int, count: int, *, shared: bool = False) -> Tensor:
    """int64 [3, count]: `first`, `first + 1`, …; or `first` throughout for the wrapper tokens that share one id."""
    line = torch.full((count,), first) if shared else torch.arange(first, first + count)
    return line.expand(3, count).clone()


def video_ids(base: int, second: int, seconds: int, rows: int, columns: int, rate: int = IDS_PER_SECOND) -> Tensor:
    """Ids of all video tokens of `seconds` temporal patches.

    Args:
        base: id at which the segment's media begin (one after its bos).
        second: first second of this window inside the segment.
        seconds: temporal patches (1 s each).
        rows, columns: tokens of one temporal patch.

    Returns:
        int64 [3, seconds * rows * columns], row-major inside a patch.
    """
    shape = (seconds, rows, columns)
    time = (base + rate * torch.arange(second, second + seconds)).view(-1, 1, 1).expand(shape)
    row = (base + torch.arange(rows)).view(1, -1, 1).expand(shape)
    column = (base + torch.arange(columns)).view(1, 1, -1).expand(shape)
    return torch.stack((time, row, column)).flatten(1)


def audio_ids(base: int, second: int, seconds: int, rate: int = IDS_PER_SECOND) -> Tensor:
    """Ids of all audio tokens of `seconds` seconds: int64 [3, 25 * seconds]."""
    return text_ids(base + rate * second, rate * seconds)


def segment_end(
    base: int, seconds: int, rows: int, columns: int, *, video: bool, audio: bool, rate: int = IDS_PER_SECOND
) -> int:
    """Id of the tokens that close a segment of `seconds` seconds.

    With sound it is `base + 25 * seconds`. Video alone ends one after its largest id, as `get_rope_index` has it.
    """
    if audio:
        return base + rate * seconds
    return base + max(rate * (seconds - 1), rows - 1, columns - 1) + 1 if video else base
