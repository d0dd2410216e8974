"""Qwen2.5's audio encoder over many windows at once, with the attention that pruning needs.

The encoder works on blocks of 200 mel frames (2 s) that know nothing of each other, so a stream can be encoded window
by window without any difference, and windows of different conversations share a batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["AudioTower", "layer_output"]


class AudioTower:
    """The encoder for windows of at most 2 s.

    Args:
        module: transformers' `Qwen2_5OmniAudioEncoder`.
    """

    def __init__(self, module: Any) -> None:
        self._module = module
        self.dtype: torch.dtype = module.conv1.weight.dtype
        self.device: torch.device = module.conv1.weight.device
        self.bins: int = module.conv1.in_channels
        self.block_frames: int = 2 * module.n_window

    def __call__(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens and their saliency.

        Args:
            mel: [B, bins, frames], at most 200 frames (one block).

        Returns:
            [B, frames / 4, hidden] tokens as the decoder takes them, and float32 [B, frames / 4]: the attention each
            token receives in the last layer, mean over heads, rows and the two encoder frames a token pools. An odd
            encoder frame at the end is left out, as transformers does.
        """
        module = self._module
        hidden = functional.gelu(module.conv1(mel.to(self.dtype)))
        hidden = functional.gelu(module.conv2(hidden)).transpose(1, 2)
        hidden = hidden + module.positional_embedding.positional_embedding[: hidden.shape[1]].to(hidden.dtype)
        for layer in module.layers[:-1]:
            hidden, _ = layer_output(layer, hidden, watch=False)
        hidden, received = layer_output(module.layers[-1], hidden, watch=True)
        pooled = _pairs(hidden)
        return module.proj(module.ln_post(pooled)), _pairs(received)


def layer_output(layer: Any, hidden: Tensor, *, watch: bool) -> tuple[Tensor, Tensor]:
    """One layer of a Whisper-like encoder over [B, n, width]; with `watch` also the attention each row of n receives.

    Returns:
        [B, n, width], and float32 [B, n], mean over heads and rows; empty without `watch`.
    """
    attention = layer.self_attn
    normed = layer.self_attn_layer_norm(hidden)
    q, k, v = (
        linear(normed).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
        for linear in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    if watch:
        weights = torch.softmax((q @ k.transpose(-1, -2)).float() * q.shape[-1] ** -0.5, dim=-1)
        mixed, received = weights.to(v.dtype) @ v, weights.mean(dim=(1, 2))
    else:
        mixed, received = functional.scaled_dot_product_attention(q, k, v), hidden.new_empty(0)
    hidden = hidden + attention.out_proj(mixed.transpose(1, 2).flatten(2))
    wide = layer.activation_fn(layer.fc1(layer.final_layer_norm(hidden)))
    return hidden + layer.fc2(wide), received


def _pairs(x: Tensor) -> Tensor:
    """Means of neighbours along axis 1, as the encoder pools."""
    even = x.shape[1] // 2 * 2
    return (x[:, 0:even:2] + x[:, 1:even:2]) / 2
