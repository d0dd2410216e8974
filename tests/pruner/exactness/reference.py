"""A second, slow implementation of live OmniDrop, to hold the fast one against.

Nothing here comes from `pruner`: every layer is written out from its weights with one full attention matrix, the rotary
embedding from its definition, the grammar of a conversation and its position ids from method.md ("The sequence"). Two
forms: `one_shot` computes a whole conversation at once and prunes it on the way; `Replay` keeps keys and values of the
shallow layers row by row, so that evictions and moved positions can be replayed exactly as they happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor


@dataclass
class Row:
    """One token: what it is, its embedding `[hidden]` and its three position ids.

    `later` `[levels, hidden]` is added to it after each of the first layers (Qwen3-Omni's deepstack).
    """

    kind: Literal["text", "video", "audio", "question", "header"]
    embedding: Tensor
    position: tuple[int, int, int]
    chunk: int = -1
    place: int = -1
    later: Tensor | None = None

    @property
    def media(self) -> bool:
        return self.kind in ("video", "audio")


class Weights:
    """The decoder's weights as plain tensors, in fp64."""

    def __init__(self, text_model: Any, head: Any, config: Any, *, third: bool = False) -> None:
        self.layers = [self._layer(layer) for layer in text_model.layers]
        self.embed = text_model.embed_tokens.weight.double()
        self.norm = text_model.norm.weight.double()
        self.head = head.weight.double()
        self.eps = config.rms_norm_eps
        self.heads = config.num_attention_heads
        self.kv_heads = config.num_key_value_heads
        self.size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        rope = getattr(config, "rope_parameters", None) or {"rope_theta": config.rope_theta, **config.rope_scaling}
        self.theta = float(rope["rope_theta"])
        axis = [number for number, count in enumerate(rope["mrope_section"]) for _ in range(count)]
        if third:  # Qwen3: frequencies go to the axes in turns, time takes what the others leave
            taken = [3 * count for count in rope["mrope_section"]]
            axis = [j % 3 if j < taken[j % 3] else 0 for j in range(self.size // 2)]
        self.axis = torch.tensor(axis)

    @staticmethod
    def _layer(layer: Any) -> dict[str, Any]:
        attention, mlp = layer.self_attn, layer.mlp
        linear = {name: getattr(attention, f"{name}_proj") for name in "qkvo"}
        found: dict[str, Any] = {}
        if hasattr(mlp, "experts"):
            found["router"], found["top"] = mlp.gate.weight.double(), mlp.gate.top_k
            found["experts"] = (mlp.experts.gate_up_proj.double(), mlp.experts.down_proj.double())
        else:
            linear |= {name: getattr(mlp, f"{name}_proj") for name in ("gate", "up", "down")}
        for name in ("q_norm", "k_norm"):
            if hasattr(attention, name):
                found[name] = getattr(attention, name).weight.double()
        for name, module in linear.items():
            found[name] = module.weight.double()
            found[name + "_bias"] = None if module.bias is None else module.bias.double()
        found["norm1"] = layer.input_layernorm.weight.double()
        found["norm2"] = layer.post_attention_layernorm.weight.double()
        return found

    def rms(self, x: Tensor, weight: Tensor) -> Tensor:
        return x / (x.pow(2).mean(-1, keepdim=True) + self.eps).sqrt() * weight

    def linear(self, layer: int, name: str, x: Tensor) -> Tensor:
        y = x @ self.layers[layer][name].T
        bias = self.layers[layer][name + "_bias"]
        return y if bias is None else y + bias

    def project(self, layer: int, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Un-rotated queries `[n, heads, size]`, keys and values `[n, kv_heads, size]`."""
        x = self.rms(x, self.layers[layer]["norm1"])
        q, k, v = (self.linear(layer, name, x) for name in "qkv")
        q, k, v = (part.view(len(x), -1, self.size) for part in (q, k, v))
        if "q_norm" in self.layers[layer]:
            q, k = self.rms(q, self.layers[layer]["q_norm"]), self.rms(k, self.layers[layer]["k_norm"])
        return q, k, v

    def rotate(self, x: Tensor, positions: Tensor) -> Tensor:
        """Multimodal rotary embedding: frequency j turns with the axis that `mrope_section` gives it."""
        half = self.size // 2
        frequency = 1.0 / self.theta ** (torch.arange(0, self.size, 2).double() / self.size)
        angle = (positions[:, self.axis].double() * frequency[None, :])[:, None, :]
        cos, sin = angle.cos(), angle.sin()
        first, second = x[..., :half], x[..., half:]
        return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Rotated `q [n, heads, d]` over `k`, `v [m, kv_heads, d]`; `visible` is bool `[n, m]`. Output and weights."""
        repeat = self.heads // self.kv_heads
        k, v = k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1)
        score = torch.einsum("nhd,mhd->hnm", q, k) / self.size**0.5
        weight = score.masked_fill(~visible[None], float("-inf")).softmax(-1)
        return torch.einsum("hnm,mhd->nhd", weight, v).reshape(len(q), -1), weight

    def finish(self, layer: int, x: Tensor, mixed: Tensor) -> Tensor:
        x = x + self.linear(layer, "o", mixed)
        inner = self.rms(x, self.layers[layer]["norm2"])
        if "experts" in self.layers[layer]:
            return x + torch.stack([self.expert(layer, row) for row in inner])
        gate = torch.nn.functional.silu(self.linear(layer, "gate", inner)) * self.linear(layer, "up", inner)
        return x + self.linear(layer, "down", gate)

    def expert(self, layer: int, row: Tensor) -> Tensor:
        """One row through its most probable experts, weighted by their odds among themselves."""
        weights = self.layers[layer]
        odds = (weights["router"] @ row).softmax(-1)
        chosen = odds.argsort(descending=True)[: weights["top"]].tolist()
        total = sum(float(odds[number]) for number in chosen)
        result = torch.zeros_like(row)
        for number in chosen:
            gate, up = (weights["experts"][0][number] @ row).chunk(2)
            result += odds[number] / total * (weights["experts"][1][number] @ (torch.nn.functional.silu(gate) * up))
        return result

    @staticmethod
    def add_later(layer: int, x: Tensor, rows: list[Row]) -> Tensor:
        """What the rows are given after `layer`."""
        later = [row.later[layer] if row.later is not None and layer < len(row.later) else None for row in rows]
        return torch.stack([one if plus is None else one + plus for one, plus in zip(x, later, strict=True)])

    def logits(self, x: Tensor) -> Tensor:
        return self.rms(x, self.norm) @ self.head.T


@dataclass
class Pruning:
    """How to prune: tokens to drop after each layer, and how they are chosen."""

    drops: list[int]
    score: Literal["mean", "running_max"] = "running_max"
    diversity: float = 0.0
    normalise: Literal["none", "max"] = "max"

    def survivors(self, scores: Tensor, chunks: list[int], drop: int) -> list[int]:
        """Indices into the alive tokens that stay; ties are broken towards dropping the earlier token."""
        n = len(scores)
        order = sorted(range(n), key=lambda j: (float(scores[j]), j))
        if self.diversity:
            candidates = order[: min(2 * drop, n)]
            best = chunks[order[-1]]
            span = max(max(chunks) - min(chunks), 1)
            scale = float(scores.max()) if self.normalise == "max" else 1.0
            total = {j: float(scores[j]) / scale + self.diversity * abs(best - chunks[j]) / span for j in candidates}
            order = sorted(candidates, key=lambda j: (total[j], j))
        gone = set(order[:drop])
        return [j for j in range(n) if j not in gone]


@dataclass
class Outcome:
    """Logits `[vocabulary]` of the row that ends the question and of every answer row fed after it, and the ranks of
    the media rows that enter each layer computed."""

    logits: list[Tensor]
    alive: list[list[int]]
    scores: Tensor | None = None


def asking(rows: list[Row], score: str) -> list[int]:
    """Rows of the last question that score: the question alone for the paper's mean, its header too for the maximum."""
    last = max(index for index, row in enumerate(rows) if row.kind == "header")
    first = last
    while first > 0 and rows[first - 1].kind in ("question", "header"):
        first -= 1
    return [i for i in range(first, last + 1) if score == "running_max" or rows[i].kind == "question"]


def one_shot(weights: Weights, rows: list[Row], pruning: Pruning) -> Outcome:
    """The whole conversation through all layers at once, causal, dropping after each layer as `pruning` says."""
    hidden = torch.stack([row.embedding for row in rows])
    position = torch.tensor([row.position for row in rows])
    asked = asking(rows, pruning.score)
    end = max(index for index, row in enumerate(rows) if row.kind == "header")
    alive = list(range(len(rows)))
    running: Tensor | None = None
    entering = []
    for layer in range(len(weights.layers)):
        media = [j for j, i in enumerate(alive) if rows[i].media]
        entering.append([alive[j] for j in media])
        q, k, v = weights.project(layer, hidden)
        at = position[alive]
        causal = torch.ones(len(alive), len(alive), dtype=torch.bool).tril()
        mixed, weight = weights.attend(weights.rotate(q, at), weights.rotate(k, at), v, causal)
        hidden = weights.add_later(layer, weights.finish(layer, hidden, mixed), [rows[i] for i in alive])
        rows_now = [j for j, i in enumerate(alive) if i in set(asked)]
        if media:
            running = observe(weight[:, rows_now][:, :, media], running, pruning.score)
        drop = pruning.drops[layer]
        if drop:
            keep = pruning.survivors(running, [rows[alive[j]].chunk for j in media], drop)
            stay = {media[j] for j in keep} | {j for j, i in enumerate(alive) if not rows[i].media}
            chosen = [j for j in range(len(alive)) if j in stay]
            alive, hidden, running = [alive[j] for j in chosen], hidden[chosen], running[keep]
    final = weights.logits(hidden)
    return Outcome([final[j] for j, i in enumerate(alive) if i >= end], entering, running)


def observe(seen: Tensor, running: Tensor | None, score: str) -> Tensor:
    """The paper's mean of this layer, or the maximum over layers so far; `seen` is `[heads, rows, media]`."""
    if score == "mean":
        return seen.mean((0, 1))
    peak = seen.amax((0, 1))
    return peak if running is None else torch.maximum(running, peak)
