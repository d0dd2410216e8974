"""Counting exact answers."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from nano_omni.training.batch import Batch
from nano_omni.training.mix import Asked


class Tally:
    """Exact answers by category, from batches whose slots are tagged with what was asked."""

    def __init__(self) -> None:
        self.counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])

    def add(self, batch: Batch, labels: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> None:
        """Count a slot as exact if all its labels were predicted right: greedy decoding then gives the very answer."""
        index = labels[:, 0]
        used = index >= 0
        wrong = np.concatenate([[0], np.cumsum(~right[used])])
        for first, last, asked in batch.slots:
            low, high = np.searchsorted(index[used], (first, last))
            if high > low and isinstance(asked, Asked):
                entry = self.counts[asked.category]
                entry[0] += int(wrong[high] == wrong[low])
                entry[1] += 1

    @property
    def total(self) -> tuple[int, int]:
        """Exact answers and questions over all categories."""
        return sum(v[0] for v in self.counts.values()), sum(v[1] for v in self.counts.values())

    def table(self) -> dict[str, float]:
        """Share of exact answers by category."""
        return {name: round(good / n, 4) for name, (good, n) in sorted(self.counts.items())}
