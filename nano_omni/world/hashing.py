"""Noise from integer hashes: no device's random generator is involved, so every device draws the same."""

import torch
from torch import Tensor


def scramble(words: Tensor) -> Tensor:
    """Mix int32 words to evenly spread int32 words in [0, 2**31).

    Multiplication wraps at 32 bits on every device; shifts act on non-negative words only. The constants are those of
    "lowbias32" from C. Wellons' hash prospector.
    """
    words = words & 0x7FFFFFFF
    words = (words ^ (words >> 16)) * 0x7FEB352D & 0x7FFFFFFF
    words = (words ^ (words >> 15)) * -2073254261 & 0x7FFFFFFF
    return words ^ (words >> 16)


def noise(words: Tensor, dtype: torch.dtype) -> Tensor:
    """Return white noise in [-1, 1) for each int32 word, its upper 16 bits the value; steps of 2**-15 are exact."""
    return (scramble(words) >> 15).to(dtype) * 2.0**-15 - 1.0
