"""What came of a method on a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Answered", "Outcome", "Prediction", "Unreachable"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """An answer and what it took.

    Attributes:
        text: the answer.
        retention: layer mean of the audiovisual tokens used, of those before compression.
        flops: of the decoder's pass over the prompt.
        flops_after: of its part that depends on the question, whatever could be computed before being kept.
        flops_in_store: of its part after the question when only a live store is kept, that of the shallow layers.
        deep_share: mean share of the stored tokens over the deep layers; None for methods without a store.
        alive: audiovisual tokens that entered each layer.
    """

    text: str
    retention: float
    flops: int
    flops_after: int
    flops_in_store: int
    deep_share: float | None
    alive: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """Predictions of a stream's questions.

    Attributes:
        predictions: in order.
        survivors: [layers][windows], tokens of each window that entered each layer, summed over the questions.
        raw: [windows], tokens before compression.
    """

    predictions: tuple[Prediction, ...]
    survivors: tuple[tuple[int, ...], ...]
    raw: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A target outside of what the method can do here: a retention, or operations after the question."""

    target: float
    low: float
    high: float
    what: Literal["retention", "flops"] = "retention"


Outcome = Answered | Unreachable
"""What came of a job on one stream."""
