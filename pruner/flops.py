"""Floating-point operations of a decoder, estimated from the rows that really enter each layer.

A multiply-add counts as two operations. Norms, rotary embeddings, softmax and the embedding table are left out: below
one per cent together. Keys and values are computed for every row, attention is causal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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

    @classmethod
    def read(cls, config: Any) -> DecoderShape:
        """From transformers' configuration of a Qwen text model, dense or mixture of experts."""
        feed_forward = config.intermediate_size
        if getattr(config, "num_experts_per_tok", None):
            feed_forward = config.moe_intermediate_size * config.num_experts_per_tok
        return cls(
            layers=config.num_hidden_layers,
            hidden=config.hidden_size,
            heads=config.num_attention_heads,
            kv_heads=config.num_key_value_heads,
            head_dim=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
            feed_forward=feed_forward,
            vocabulary=config.vocab_size,
        )


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


def prefill_flops(shape: DecoderShape, alive: Sequence[int], *, text: int, question: int, ahead: int) -> Flops:
    """A prefill up to and including the logits of the first answer token.

    Of a layer that runs as the stream flows only the question's own rows are left when it is asked; the others run over
    everything kept. How many run ahead is a matter of what is stored between questions, not of the counts: a live
    conversation keeps the keys and values of the fusion layers, so its deep layers run after the question even where
    they drop nothing.

    Args:
        alive: audiovisual rows that enter each layer 0…L-1.
        text: all other rows, the question's included.
        question: rows that come with the question (it and the assistant's header).
        ahead: how many of the first layers run as the stream flows, all of them over the same rows: 0 for a method that
            must know the question, or the whole recording, first.

    Raises:
        ValueError: a layer before `ahead` sees fewer rows than the first.
    """
    if any(count != alive[0] for count in alive[:ahead]):
        raise ValueError(f"{ahead} layers cannot run before the question: tokens are dropped below")
    total = after = 2 * shape.hidden * shape.vocabulary
    for layer, count in enumerate(alive):
        whole = layer_flops(shape, text + count)
        total += whole
        after += layer_flops(shape, question, text + count - question) if layer < ahead else whole
    return Flops(total, after)
