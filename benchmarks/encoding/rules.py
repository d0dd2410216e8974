"""Ways to compute the log-mel of a window: what is taken for the sound around it, and below what its values are cut.

Whisper's own way needs the whole clip: the STFT reads 200 samples past a window's ends, and the floor lies 8 decades
below the clip's loudest value. A stream has the past at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from pruner.families.mel import HOP, LEFT_CONTEXT, SAMPLE_RATE, log_mel

__all__ = ["RULES", "SERVED", "Rule", "features", "whole"]

_AHEAD = 3 * HOP
"""Samples after a window that are more than its last frame reads, in whole frames."""
_DECADES = 8.0
_FALL = 0.1
"""Decades a second by which a floor that forgets falls."""


@dataclass(frozen=True)
class Rule:
    """A way.

    Attributes:
        name: for tables.
        before: the sound before a window is carried over, or its own start is reflected.
        after: its own end is reflected, silence follows, or the sound after it is waited for.
        floor: 8 decades below the loudest value of the session so far, of the same but forgetting a decade in 10 s, of
            the window, or of the whole clip.
    """

    name: str
    before: Literal["carried", "reflected"] = "carried"
    after: Literal["reflected", "silence", "waited for"] = "reflected"
    floor: Literal["so far", "forgetting", "window", "clip"] = "so far"


SERVED = Rule("as served")
RULES = (
    SERVED,
    Rule("floor of the whole clip", floor="clip"),
    Rule("next 12.5 ms waited for", after="waited for"),
    Rule("silence after the window", after="silence"),
    Rule("nothing carried over", before="reflected"),
    Rule("floor that forgets", floor="forgetting"),
    Rule("floor of each window", floor="window"),
)


def whole(samples: Tensor, *, bins: int) -> Tensor:
    """Features of a clip as Whisper computes them.

    Args:
        samples: float32 [N].
        bins: mel bands.

    Returns:
        float32 [bins, N / 160].
    """
    return log_mel(samples[None], bins=bins)[0][0]


def features(samples: Tensor, rule: Rule, *, seconds: int, bins: int) -> list[Tensor]:
    """Features of a clip's windows: float32 [bins, 100 * seconds] each.

    Args:
        samples: float32 [N], N a multiple of the window.
        rule: how.
        seconds: length of a window.
        bins: mel bands.
    """
    found = list(_unfloored(samples, rule, seconds * SAMPLE_RATE, bins))
    own = torch.stack([_loudest(one) for one in found])
    if rule.floor == "clip":
        top = own.max().expand(len(own))
    elif rule.floor == "window":
        top = own
    else:
        fall = _FALL * seconds if rule.floor == "forgetting" else 0.0
        rise = fall * torch.arange(len(own))
        top = (own + rise).cummax(0).values - rise
    return [torch.maximum(one, (loudest - _DECADES + 4) / 4) for one, loudest in zip(found, top, strict=True)]


def _unfloored(samples: Tensor, rule: Rule, length: int, bins: int) -> Iterator[Tensor]:
    """Windows cut below their own floor, which is never above the others."""
    for start in range(0, len(samples), length):
        end = start + length
        left = samples[None, start - LEFT_CONTEXT : start] if rule.before == "carried" and start else None
        piece = samples[start:end]
        if rule.after == "waited for" and end < len(samples):
            piece = samples[start : end + _AHEAD]
        elif rule.after == "silence" and end < len(samples):
            piece = functional.pad(piece, (0, _AHEAD))
        yield log_mel(piece[None], left, bins=bins)[0][0, :, : length // HOP]


def _loudest(mel: Tensor) -> Tensor:
    """log10 of the loudest mel power of features."""
    return mel.max() * 4 - 4
