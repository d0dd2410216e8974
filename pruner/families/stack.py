"""The decoder of a Qwen language model as separate steps, so that one loop of ours can walk its layers.

transformers' own loop builds one mask for all layers, which is wrong once layers hold different tokens, and its
attention wrapper silently shortens a cache that is longer than the query. Neither is used here: a layer is `project`,
attention done by the caller, `finish`. Tensors have no batch axis; rows of several conversations are simply
concatenated, since every step here works row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Angles", "TextStack"]

Angles = tuple[Tensor, Tensor]
"""Cosine of every row's rotary angles and sine, each [n, head_dim] in the model's dtype. The first half of the sine is
negative, since the rotation takes the second half of a head from its first."""


class _Joined:
    """Several linear maps of the same input as one matrix product.

    With `own`, the modules' parameters become views of the joined matrix, so that nothing is stored twice, and the
    modules are passed by; a module that belongs to somebody else is left as it is and called.
    """

    def __init__(self, linears: Sequence[nn.Linear], *, own: bool) -> None:
        self._linears = list(linears)
        self._ends = np.cumsum([0, *(linear.out_features for linear in linears)]).tolist()
        self._weight: Tensor | None = None
        self._bias: Tensor | None = None
        if own:
            self._join()

    def _join(self) -> None:
        self._weight = torch.cat([linear.weight.data for linear in self._linears])
        biases = [linear.bias for linear in self._linears]
        if all(bias is not None for bias in biases):
            self._bias = torch.cat([bias.data for bias in biases])
        for linear, start, stop in zip(self._linears, self._ends, self._ends[1:], strict=False):
            linear.weight.data = self._weight[start:stop]
            if self._bias is not None:
                linear.bias.data = self._bias[start:stop]

    def __call__(self, x: Tensor) -> Tensor:
        """All maps of x [n, in], side by side [n, out]."""
        if self._weight is None:
            return _beside([linear(x) for linear in self._linears])
        return functional.linear(x, self._weight, self._bias)

    def some(self, x: Tensor, first: int, last: int) -> Tensor:
        """The maps `first`…`last - 1` alone."""
        if self._weight is None:
            return _beside([linear(x) for linear in self._linears[first:last]])
        rows = slice(self._ends[first], self._ends[last])
        return functional.linear(x, self._weight[rows], self._bias[rows] if self._bias is not None else None)


def _beside(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


class _Dense:
    """A gated MLP."""

    def __init__(self, module: Any, *, own: bool) -> None:
        self._gate_up = _Joined([module.gate_proj, module.up_proj], own=own)
        self._down = _Joined([module.down_proj], own=own)

    def __call__(self, x: Tensor) -> Tensor:
        gate, up = self._gate_up(x).chunk(2, dim=-1)
        return self._down(functional.silu(gate) * up)


class _Experts:
    """A mixture of gated MLPs, of which every row goes through the `top` most probable (Qwen3-MoE).

    The experts' products are transformers', which has a grouped kernel for each device. The routing is ours, so that it
    is as exact as the rest of a model in fp64; which no such kernel takes, so that there the products are ours too.
    """

    def __init__(self, module: Any) -> None:
        self._experts = module.experts
        self._router: Tensor = module.gate.weight
        self._top: int = module.gate.top_k
        self._normalised: bool = module.gate.norm_topk_prob

    def __call__(self, x: Tensor) -> Tensor:
        wide = torch.float64 if x.dtype == torch.float64 else torch.float32
        odds = torch.softmax(functional.linear(x, self._router), dim=-1, dtype=wide)
        share, chosen = odds.topk(self._top, dim=-1)
        if self._normalised:
            share = share / share.sum(dim=-1, keepdim=True)
        if wide == torch.float64:
            return self._one_by_one(x, chosen, share)
        output: Tensor = self._experts(x, chosen, share.to(x.dtype))
        return output

    def _one_by_one(self, x: Tensor, chosen: Tensor, share: Tensor) -> Tensor:
        output = torch.zeros_like(x)
        for number in range(len(self._experts.down_proj)):
            rows, rank = (chosen == number).nonzero(as_tuple=True)
            gate, up = functional.linear(x[rows], self._experts.gate_up_proj[number]).chunk(2, dim=-1)
            made = functional.linear(functional.silu(gate) * up, self._experts.down_proj[number])
            output.index_add_(0, rows, made * share[rows, rank, None])
        return output


class _Norm:
    """Divides rows [..., size] by their root mean square, and multiplies them by a weight [size]."""

    def __init__(self, weight: Tensor, eps: float) -> None:
        self._weight, self._eps = weight, eps
        size = len(weight)
        self._scaled = weight.detach() * size**0.5
        self._least = torch.tensor((size * eps) ** 0.5, dtype=weight.dtype, device=weight.device)

    def __call__(self, x: Tensor) -> Tensor:
        if x.is_cuda or x.dtype.itemsize == 2:
            return torch.rms_norm(x, self._weight.shape, self._weight, self._eps)
        # on a CPU torch takes twice as many operations for it, which for one row are nearly a projection's time
        length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        normed: Tensor = (x * self._scaled).div_(torch.hypot(length, self._least))
        return normed


class _Layer:
    """Weights of one decoder layer; `norms` are those of queries and keys, where the family has them."""

    def __init__(self, module: Any, eps: float, *, own: bool) -> None:
        attention, mlp = module.self_attn, module.mlp
        self.before_attention = _Norm(module.input_layernorm.weight, eps)
        self.before_mlp = _Norm(module.post_attention_layernorm.weight, eps)
        self.qkv = _Joined([attention.q_proj, attention.k_proj, attention.v_proj], own=own)
        self.norms: tuple[_Norm, _Norm] | None = None
        if hasattr(attention, "q_norm"):
            self.norms = (_Norm(attention.q_norm.weight, eps), _Norm(attention.k_norm.weight, eps))
        self.output = _Joined([attention.o_proj], own=own)
        self.mlp: _Dense | _Experts = _Experts(mlp) if hasattr(mlp, "experts") else _Dense(mlp, own=own)


class TextStack:
    """Embedding, layers, rotary angles, last norm and head of a Qwen2 or Qwen3 decoder, dense or with experts.

    Args:
        model: transformers' text model, with `embed_tokens`, `layers` and `norm`.
        head: the linear map from hidden states to logits.
        config: its `text_config`.
        own: whether the modules may be rearranged in memory (see `_Joined`).
        interleaved: how the three axes share the rotary pairs: in turns (Qwen3), or a block each (Qwen2.5).

    Attributes:
        dense: whether no layer has experts.
        layers: number of decoder layers L.
        heads, kv_heads, head_dim, hidden_size, vocabulary: shapes.
    """

    def __init__(self, model: Any, head: nn.Linear, config: Any, *, own: bool, interleaved: bool = False) -> None:
        self._model = model
        self._head = head
        eps = float(config.rms_norm_eps)
        self._layers = [_Layer(layer, eps, own=own) for layer in model.layers]
        self._last_norm = _Norm(model.norm.weight, eps)
        self.dense = all(isinstance(layer.mlp, _Dense) for layer in self._layers)
        self.layers = len(self._layers)
        self.heads = int(config.num_attention_heads)
        self.kv_heads = int(config.num_key_value_heads)
        self.hidden_size = int(config.hidden_size)
        self.head_dim = int(getattr(config, "head_dim", None) or self.hidden_size // self.heads)
        self.vocabulary = int(config.vocab_size)
        self.dtype: torch.dtype = head.weight.dtype
        self.device: torch.device = head.weight.device
        self._frequencies, self._axes = self._rotary(config.rope_parameters, interleaved)

    def _rotary(self, parameters: dict[str, Any], interleaved: bool) -> tuple[Tensor, Tensor]:
        """Angle per position id of each of the head_dim/2 pairs, and the axis (0, 1, 2) whose id it takes."""
        # transformers computes angles in fp32 for every dtype; in fp64 ours are exact to fp64
        wide = torch.float64 if self.dtype == torch.float64 else torch.float32
        exponent = torch.arange(0, self.head_dim, 2, dtype=wide) / self.head_dim
        frequencies = 1.0 / (float(parameters["rope_theta"]) ** exponent)
        sections = parameters.get("mrope_section", [self.head_dim // 2])
        axes = torch.cat([torch.full((size,), index % 3) for index, size in enumerate(sections)])
        if interleaved:
            axes = torch.zeros(self.head_dim // 2, dtype=torch.int64)
            for axis in (1, 2):
                axes[axis : 3 * sections[axis] : 3] = axis
        return frequencies.to(self.device), axes.to(self.device)

    def embed(self, ids: Tensor) -> Tensor:
        """Text embeddings of int64 [n]: [n, hidden_size]."""
        embedded: Tensor = self._model.embed_tokens(ids)
        return embedded

    def angles(self, positions: Tensor) -> Angles:
        """Rotary angles of int64 [3, n] position ids."""
        angle = positions.index_select(0, self._axes).T.to(self._frequencies.dtype) * self._frequencies
        cosine, sine = angle.cos(), angle.sin()
        return torch.cat((cosine, cosine), dim=-1).to(self.dtype), torch.cat((-sine, sine), dim=-1).to(self.dtype)

    @staticmethod
    def rotate(x: Tensor, angles: Angles) -> Tensor:
        """Turns queries or keys [heads, n, head_dim] by their rows' angles."""
        cosine, sine = angles
        first, second = x.chunk(2, dim=-1)
        return torch.addcmul(x * cosine, torch.cat((second, first), dim=-1), sine)

    def rotate_at(self, keys: Tensor, positions: Tensor) -> Tensor:
        """Turns keys [..., n, head_dim] to int64 [3, n] position ids."""
        return self.rotate(keys, self.angles(positions))

    def project(self, layer: int, hidden: Tensor, angles: Angles) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What attention is made of, from the layer's input [n, hidden_size].

        Queries and keys are normed where the family does so, which is before the rotation.

        Returns:
            rotated queries [heads, n, head_dim]; un-rotated keys, rotated keys and values [kv_heads, n, head_dim].
        """
        weights = self._layers[layer]
        parts = self._by_head(weights.qkv(weights.before_attention(hidden)))
        both = self.heads + self.kv_heads
        turning, values = parts[:both], parts[both:]
        if weights.norms is not None:
            pair = zip((turning[: self.heads], turning[self.heads :]), weights.norms, strict=True)
            turning = torch.cat([norm(part) for part, norm in pair])
        turned = self.rotate(turning, angles)
        return turned[: self.heads], turning[self.heads :], turned[self.heads :], values

    def project_last(self, layer: int, hidden: Tensor, angles: Angles) -> tuple[Tensor, Tensor, Tensor]:
        """The same where only the last row goes on.

        Returns:
            its rotated query [heads, 1, head_dim]; rotated keys and values of all rows [kv_heads, n, head_dim].
        """
        weights = self._layers[layer]
        normed = weights.before_attention(hidden)
        query = self._by_head(weights.qkv.some(normed[-1:], 0, 1))
        keys, values = self._by_head(weights.qkv.some(normed, 1, 3)).chunk(2)
        if weights.norms is not None:
            query, keys = (norm(part) for part, norm in zip((query, keys), weights.norms, strict=True))
        return self.rotate(query, (angles[0][-1:], angles[1][-1:])), self.rotate(keys, angles), values

    def _by_head(self, joined: Tensor) -> Tensor:
        """[n, heads * head_dim] as [heads, n, head_dim]."""
        return joined.view(joined.shape[0], -1, self.head_dim).transpose(0, 1)

    def finish(self, layer: int, hidden: Tensor, attended: Tensor) -> Tensor:
        """The layer's output [n, hidden_size] from its input and its heads' attention output [heads, n, head_dim]."""
        weights = self._layers[layer]
        hidden = hidden + weights.output(attended.transpose(0, 1).flatten(1))
        return hidden + weights.mlp(weights.before_mlp(hidden))

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores over the vocabulary [n, vocabulary] from the last layer's output [n, hidden_size]."""
        scores: Tensor = self._head(self._last_norm(hidden))
        return scores
