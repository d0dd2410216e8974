"""How one guided pass chooses its survivors: what the decoder asks a pruning method, and OmniDrop's answer."""

from __future__ import annotations

from typing import Literal, Protocol

from torch import Tensor

from pruner.importance import Diversity, drop_lowest, mean_importance, peak_importance

__all__ = ["Guidance", "LayerPruner", "Score"]

Score = Literal["mean", "running_max"]
"""The paper's score (mean over heads and question rows of the current layer), or the maximum over layers so far, heads
and rows of question and assistant header."""


class LayerPruner(Protocol):
    """One pass's choice of survivors; the decoder calls `observe` and then `select` layer by layer, in order."""

    @property
    def drops(self) -> tuple[int, ...]:
        """Audiovisual tokens dropped after each layer 0…L-1, known before the pass begins."""
        ...

    def observe(self, layer: int, attention: Tensor) -> None:
        """Takes note of post-softmax attention [heads, rows, alive], of the asking rows to the tokens alive."""
        ...

    def select(self, layer: int) -> Tensor:
        """int64 [alive - drops[layer]], ascending: which of the tokens alive survive `layer`."""
        ...


class Guidance:
    """OmniDrop's choice (paper, sections 3.2 and 3.3).

    Args:
        drops: tokens dropped after each layer.
        chunk: int64 [n] on the device, the chunk of every audiovisual token.
        question: how many of the asking rows are the question itself; the assistant's header follows them.
        score: see `Score`.
        diversity: temporal diversity; None for none.

    Attributes:
        question, score: as given.
        scores: fp32 [alive], the scores at hand; None before the first `observe`.
        first: fp32 [n], the scores at the first drop, or at the end where nothing is dropped; for eviction.
    """

    def __init__(
        self,
        drops: tuple[int, ...],
        chunk: Tensor,
        *,
        question: int,
        score: Score = "running_max",
        diversity: Diversity | None = None,
    ) -> None:
        self.drops = drops
        self.scores: Tensor | None = None
        self._first: Tensor | None = None
        self._chunk = chunk
        self.question = question
        self.score = score
        self._diversity = diversity

    @property
    def first(self) -> Tensor | None:
        """See the class."""
        return self.scores if self._first is None else self._first

    def observe(self, layer: int, attention: Tensor) -> None:
        """See `LayerPruner`."""
        if self.score == "mean":
            # without a drop the next layer's mean replaces this one, but eviction still reads the last
            self.scores = mean_importance(attention[:, : self.question])
        else:
            self.scores = peak_importance(attention, self.scores)

    def note(self, scores: Tensor) -> None:
        """Takes over [alive] scores that `observe` would have come to, layer by layer, before the first drop."""
        self.scores = scores

    def select(self, layer: int) -> Tensor:
        """See `LayerPruner`."""
        assert self.scores is not None, "select comes after observe"
        if self._first is None:
            self._first = self.scores
        kept = drop_lowest(self.scores, self.drops[layer], self._chunk, self._diversity)
        self.scores, self._chunk = self.scores[kept], self._chunk[kept]
        return kept
