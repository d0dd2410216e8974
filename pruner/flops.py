"""Floating-point operations of a decoder, estimated from the rows that really enter each layer.

A multiply-add counts as two operations. Norms, rotary embeddings, softmax and the embedding table are left out: below
one per cent together. Keys and values are computed for every row, attention is causal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["DecoderShape", "Flops", "layer_flops", "prefill_flops"]


@dataclass(frozen=True)
class DecoderShape:
    """Sizes of a decoder.

    Attributes:
        layers: L.
        hidden, heads, kv_heads, head_dim: of every layer.
        feed_forward: inner size of the gated MLP; for a mixture of experts, of the experts that one token uses.
        vocabulary: rows of the output head.
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    feed_forward: int
    vocabulary: int


@dataclass(frozen=True)
class Flops:
    """What a pass costs: in all, and the part that can only be spent once the question is known."""

    total: int
    after_question: int


def layer_flops(shape: DecoderShape, rows: int, past: int = 0) -> int:
    """One layer for `rows` new rows that attend to `past` earlier ones and, causally, to themselves."""
    width = shape.heads * shape.head_dim
    projections = shape.hidden * (2 * width + 2 * shape.kv_heads * shape.head_dim)
    pairs = rows * past + rows * (rows + 1) // 2
    return 2 * rows * (projections + 3 * shape.hidden * shape.feed_forward) + 4 * width * pairs


def prefill_flops(
    shape: DecoderShape, alive: Sequence[int], *, text: int, question: int, ahead: bool, drops: Sequence[int]
) -> Flops:
    """A prefill up to and including the logits of the first answer token.

    What a layer computes for audiovisual rows depends on the question only above the first layer that drops: up to
    there a method that works `ahead`, window by window, has done everything but the question's own rows when it is
    asked.

    Args:
        alive: audiovisual rows that enter each layer.
        text: all other rows, the question's included.
        question: rows that come with the question (it and the assistant's header).
        ahead: whether the method runs as the stream flows.
        drops: rows dropped after each layer.
    """
    head = 2 * shape.hidden * shape.vocabulary
    total = after = head
    guided = False
    for count, drop in zip(alive, drops, strict=True):
        rows = text + count
        whole = layer_flops(shape, rows)
        total += whole
        after += whole if guided or not ahead else layer_flops(shape, question, rows - question)
        guided = guided or drop > 0
    return Flops(total, after)
