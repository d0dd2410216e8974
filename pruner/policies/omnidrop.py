"""OmniDrop as published (arXiv 2605.14458, section 3): one-shot, guided by the question from the first layer on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from pruner.guidance import LayerPruner
from pruner.importance import Diversity, drop_lowest
from pruner.policies.base import Asked, RankedPruner, Selection, intra_modality
from pruner.schedule import Sigmoid, one_shot, solve
from pruner.windows import EncodedWindow

__all__ = ["OmniDrop"]


class _Pruner(RankedPruner):
    def __init__(self, drops: tuple[int, ...], asked: Asked, diversity: Diversity, start: int) -> None:
        super().__init__(drops, asked)
        self._diversity, self._start = diversity, start

    def choose(self, layer: int, scores: Tensor) -> Tensor:
        diversity = self._diversity if layer >= self._start else None
        return drop_lowest(scores, self.drops[layer], self.chunk, diversity)


class OmniDrop:
    """Intra-modality compression, the sigmoid schedule, the mean score, and temporal diversity in the deep half.

    Args:
        retention: layer mean to reach.
        curve: the sigmoid; its `p_final` is solved for.
        normalise: of `Diversity`; "none" is the paper's.
        weight: lambda.
    """

    name = "omnidrop"
    ahead = False

    def __init__(
        self,
        retention: float,
        *,
        curve: Sigmoid | None = None,
        normalise: Literal["none", "max"] = "none",
        weight: float = 0.2,
    ) -> None:
        self.retention = retention
        self._curve = curve or Sigmoid()
        self._diversity = Diversity(weight, normalise, span="last")

    def compress(self, windows: Sequence[EncodedWindow]) -> list[Selection]:
        """Temporal token merging, and the most attended audio."""
        return intra_modality(windows)

    def prune(self, asked: Asked) -> LayerPruner:
        """Diversity starts at layer 14 of 28, and at the same depth of other models."""
        schedule = solve(one_shot(asked.layers, self._curve), self.retention, asked.count, asked.raw)
        return _Pruner(schedule.drops(asked.count), asked, self._diversity, asked.layers // 2)
