"""What conversations of a model take: empty stores, and how much memory there will be, exactly and in advance."""

from __future__ import annotations

from pruner.families.facts import ModelFacts
from pruner.families.stack import TextStack
from pruner.options import LiveOptions
from pruner.store import FusionStore, StoreShape

__all__ = ["Sizes"]


class Sizes:
    """Of one model.

    Args:
        stack: its decoder.
        facts: what it is.
        options: how it serves.
    """

    def __init__(self, stack: TextStack, facts: ModelFacts, options: LiveOptions) -> None:
        self._stack, self._facts, self._options = stack, facts, options
        self._shape = StoreShape(facts.fusion_depth, facts.kv_heads, facts.head_dim, facts.hidden_size)

    def store(self, budget: int) -> FusionStore:
        """An empty store for so many audiovisual tokens."""
        return FusionStore(
            self._shape,
            budget=budget,
            text=self._options.max_text_tokens,
            device=self._stack.device,
            dtype=self._stack.dtype,
            rotate=self._stack.rotate_at,
            eviction=self._options.eviction,
        )

    def session_bytes(self, budget: int) -> int:
        """See `LiveModel.session_bytes`."""
        facts, options, dtype = self._facts, self._options, self._stack.dtype
        store = FusionStore.bytes_for(self._shape, budget, options.max_text_tokens, dtype)
        deep = 2 * sum(self._deep_rows(budget)) * facts.kv_heads * facts.head_dim
        shown = facts.rows * facts.columns * facts.hidden_size * (1 + facts.deepstack)
        return store + dtype.itemsize * (deep + (0 if options.still_change is None else shown))

    def rows(self, budget: int) -> tuple[int, int]:
        """Most rows that a shallow and a deep layer can have."""
        return budget + self._options.max_text_tokens, max(self._deep_rows(budget))

    def _deep_rows(self, budget: int) -> list[int]:
        """Rows that each deep layer has in a turn at its largest."""
        turn, facts = self._options.turn, self._facts
        alive = turn.form(facts.layers, facts.fusion_depth).alive(budget)
        if turn.retention is None:
            alive = turn.solved(facts.layers, facts.fusion_depth, budget, budget).alive(budget)
        return [count + self._options.max_text_tokens for count in alive[facts.fusion_depth :]]
