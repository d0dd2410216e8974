"""OmniDrop made live: fused window by window below the fusion depth, guided above it (method.md section 2)."""

from __future__ import annotations

from collections.abc import Sequence

from pruner.guidance import Guidance, LayerPruner, Score
from pruner.importance import Diversity
from pruner.policies.base import Asked, Selection, intra_modality
from pruner.schedule import Constant, Sigmoid, live, solve
from pruner.windows import EncodedWindow

__all__ = ["Live"]


class Live:
    """Drops after layers F-1…L-2 only.

    Args:
        retention: layer mean to reach.
        depth: fusion depth F; None for L/2.
        curve: ratio per layer; solved for.
        score: see `pruner.guidance.Score`.
        diversity: temporal diversity; None for none.
    """

    name = "live"
    ahead = True

    def __init__(
        self,
        retention: float,
        *,
        depth: int | None = None,
        curve: Sigmoid | Constant | None = None,
        score: Score = "running_max",
        diversity: Diversity | None = None,
    ) -> None:
        self.retention, self._depth, self._curve = retention, depth, curve or Constant()
        self._score, self._diversity = score, diversity

    def compress(self, windows: Sequence[EncodedWindow]) -> list[Selection]:
        """Temporal token merging, and the most attended audio."""
        return intra_modality(windows)

    def prune(self, asked: Asked) -> LayerPruner:
        """First by the scores at hand after layer F-1, then layer by layer."""
        depth = self._depth or asked.layers // 2
        schedule = solve(live(asked.layers, depth, self._curve), self.retention, asked.count, asked.raw)
        drops = schedule.drops(asked.count)
        return Guidance(drops, asked.chunk, question=asked.question, score=self._score, diversity=self._diversity)
