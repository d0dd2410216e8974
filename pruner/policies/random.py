"""Chance, as a baseline: at the input, and layer by layer on OmniDrop's schedule."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pruner.guidance import LayerPruner
from pruner.policies.base import Asked, RankedPruner, Selection, intra_modality
from pruner.schedule import Sigmoid, one_shot, solve
from pruner.windows import EncodedWindow

__all__ = ["RandomInput", "RandomLayers"]


class RandomInput:
    """Keeps the same share of each modality at the input, drawn once over the whole clip.

    Args:
        retention: share to keep.
        seed: of the draw, which is the same on every device.
    """

    name = "random"
    ahead = True

    def __init__(self, retention: float, *, seed: int = 0) -> None:
        self.retention, self._seed = retention, seed

    def compress(self, windows: Sequence[EncodedWindow]) -> list[Selection]:
        """`round(retention * n)` tokens of each modality."""
        generator = torch.Generator().manual_seed(self._seed)
        video = self._draw([window.seen.video for window in windows], generator)
        audio = self._draw([window.seen.audio for window in windows], generator)
        return [Selection(seen, heard) for seen, heard in zip(video, audio, strict=True)]

    def prune(self, asked: Asked) -> LayerPruner:
        """Nothing more."""
        return RankedPruner((0,) * asked.layers, asked)

    def _draw(self, sizes: list[int], generator: torch.Generator) -> list[Tensor]:
        chosen = torch.zeros(sum(sizes), dtype=torch.bool)
        chosen[torch.randperm(len(chosen), generator=generator)[: round(self.retention * len(chosen))]] = True
        return [part.nonzero().flatten() for part in torch.split(chosen, sizes)]


class _Pruner(RankedPruner):
    def __init__(self, drops: tuple[int, ...], asked: Asked, seed: int) -> None:
        super().__init__(drops, asked)
        self._generator = torch.Generator().manual_seed(seed)

    def choose(self, layer: int, scores: Tensor) -> Tensor:
        kept = torch.randperm(len(scores), generator=self._generator)[self.drops[layer] :]
        return kept.sort().values.to(scores.device)


class RandomLayers:
    """OmniDrop's compression and schedule, with survivors drawn by lot.

    Args:
        retention: layer mean to reach.
        seed: of the draws.
    """

    name = "random_layers"
    ahead = False

    def __init__(self, retention: float, *, seed: int = 0) -> None:
        self.retention, self._seed = retention, seed

    def compress(self, windows: Sequence[EncodedWindow]) -> list[Selection]:
        """Temporal token merging, and the most attended audio."""
        return intra_modality(windows)

    def prune(self, asked: Asked) -> LayerPruner:
        """The sigmoid schedule's counts."""
        schedule = solve(one_shot(asked.layers, Sigmoid()), self.retention, asked.count, asked.raw)
        return _Pruner(schedule.drops(asked.count), asked, self._seed)
