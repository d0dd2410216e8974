"""What the decoder is given to do: rows for a conversation's store, and questions."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from pruner.guidance import LayerPruner
from pruner.store import FusionStore
from pruner.tokens import TokenRows

__all__ = ["Extension", "Query"]


@dataclass(frozen=True)
class Extension:
    """Rows to be added to a conversation's store.

    Attributes:
        store: which one; room was made before.
        rows: n rows of metadata.
        embeddings: [n, hidden_size], what enters layer 0.
        added: [n, levels * hidden_size], what is added to the rows after each of the first `levels` layers, none of
            them below the fusion depth; None for nothing.
    """

    store: FusionStore
    rows: TokenRows
    embeddings: Tensor
    added: Tensor | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Query(Extension):
    """Rows that end with a question.

    Attributes:
        tail: how many of the last rows ask (question and assistant header).
        answer: answer rows the deep cache must have room for.
        pruner: chooses survivors.
    """

    tail: int
    answer: int
    pruner: LayerPruner
