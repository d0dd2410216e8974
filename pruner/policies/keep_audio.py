"""OmniDrop that never drops sound.

An ablation: A-PACK (arXiv 2608.08794) found one audio token to matter about ten times as much as a video token.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pruner.guidance import LayerPruner
from pruner.importance import drop_lowest
from pruner.policies.base import Asked, RankedPruner, Selection, intra_modality
from pruner.schedule import Constant, one_shot, solve
from pruner.tokens import Modality
from pruner.windows import EncodedWindow

__all__ = ["KeepAudio"]


class _Pruner(RankedPruner):
    def choose(self, layer: int, scores: Tensor) -> Tensor:
        spared = torch.where(self.modality == Modality.AUDIO, torch.inf, scores)
        return drop_lowest(spared, self.drops[layer])


class KeepAudio:
    """One-shot drops with all audio tokens as their floor: video alone pays for the retention.

    A constant ratio per layer, since the sigmoid keeps too much video early to make up for the sound.

    Args:
        retention: layer mean to reach.
    """

    name = "keep_audio"
    ahead = False

    def __init__(self, retention: float) -> None:
        self.retention = retention

    def compress(self, windows: Sequence[EncodedWindow]) -> list[Selection]:
        """Temporal token merging; sound whole."""
        return intra_modality(windows, audio=1.0)

    def prune(self, asked: Asked) -> LayerPruner:
        """By the paper's score among video tokens."""
        audio = int((asked.modality == Modality.AUDIO).sum())
        schedule = one_shot(asked.layers, Constant(), floor=audio)
        return _Pruner(solve(schedule, self.retention, asked.count, asked.raw).drops(asked.count), asked)
