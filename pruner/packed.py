"""Rows of several conversations side by side, for what is done row by row: one product for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = ["join", "spans"]


def spans(lengths: Sequence[int]) -> list[slice]:
    """Where each of several packed pieces lies, by their lengths."""
    ends = np.cumsum(lengths).tolist()
    return [slice(end - length, end) for end, length in zip(ends, lengths, strict=True)]


def join(parts: Sequence[Tensor], dim: int) -> Tensor:
    """The pieces, packed along `dim`; one alone is not copied."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=dim)
