"""FastV: one cut, early, by what the last text token attends to."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pruner.errors import ScheduleError
from pruner.guidance import LayerPruner
from pruner.policies.base import Asked, RankedPruner, Selection, whole
from pruner.windows import EncodedWindow

__all__ = ["FastV"]


class _Pruner(RankedPruner):
    def score(self, layer: int, attention: Tensor) -> Tensor:
        return attention[:, -1].mean(dim=0)


class FastV:
    """All tokens in layers 0…K-1 (K = 2, or 1 where two full layers are too many), a fixed share of them after.

    Args:
        retention: layer mean to reach; the share kept is `(retention * L - K) / (L - K)`.
    """

    name = "fastv"
    ahead = False

    def __init__(self, retention: float) -> None:
        self.retention = retention

    def compress(self, windows: Sequence[EncodedWindow]) -> list[Selection]:
        """Nothing is compressed."""
        return [whole(window) for window in windows]

    def prune(self, asked: Asked) -> LayerPruner:
        """One drop after layer K-1.

        Raises:
            ScheduleError: a single full layer is already more than the retention.
        """
        layers = asked.layers
        full = 2 if self.retention * layers >= 2 else 1
        share = (self.retention * layers - full) / (layers - full)
        if not 0 <= share <= 1:
            raise ScheduleError(self.retention, (1 / layers, 1.0))
        drops = [0] * layers
        drops[full - 1] = asked.count - round(share * asked.count)
        return _Pruner(tuple(drops), asked)
