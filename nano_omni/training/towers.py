"""The two encoders, batched over equal windows.

transformers loops in Python over blocks of attention; here all seconds of video, or all windows of sound, are one
batch. The modules and weights are transformers' own, and a test holds the results equal. Which layers of the vision
encoder see the whole picture, and how large the windows of the others are, comes from the checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pruner.compress import keep_audio

MERGED = 7  # tokens that stay of a compressed second that is no anchor: floor(0.2 * 36)


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` compiled once for all layers that share its shapes, which takes a fraction of compiling whole
    towers."""
    made: Callable[..., Any] = torch.compile(function, dynamic=False, fullgraph=True)
    return made


def thinker_parts(model: nn.Module) -> tuple[Any, Any, Any]:
    """Vision encoder, audio encoder and text model, wherever this version of transformers keeps them."""
    inner: Any = model
    if hasattr(model, "visual"):
        return inner.visual, inner.audio_tower, inner.model
    return inner.model.visual, inner.model.audio_tower, inner.model.language_model


def rms_norm(x: Tensor, norm: Any) -> Tensor:
    """RMS normalisation in float32, as Qwen's."""
    return functional.rms_norm(x.float(), x.shape[-1:], norm.weight.float(), norm.variance_epsilon).to(x.dtype)


def vision_rotary(side: int, head_dim: int, device: torch.device, theta: float = 10_000.0) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the axial rotary embedding, each float32 [side², head_dim], in blocks of 2 x 2 patches."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")

    def blocks(grid: Tensor) -> Tensor:
        return grid.view(side // 2, 2, side // 2, 2).transpose(1, 2).reshape(-1)

    spatial = head_dim // 2
    rates = theta ** -(torch.arange(0, spatial, 2, dtype=torch.float32) / spatial)
    angles = torch.cat([blocks(rows)[:, None] * rates, blocks(columns)[:, None] * rates], dim=-1)
    angles = torch.cat([angles, angles], dim=-1).to(device)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply rotary embedding over the last axis, in float32."""
    first, second = x.float().chunk(2, dim=-1)
    return (x.float() * cos + torch.cat([-second, first], dim=-1) * sin).to(x.dtype)


def window_order(side: int, window: int, device: torch.device) -> Tensor:
    """Order of a picture's tokens that puts those of one attention window together: int64 [side²].

    Args:
        side: tokens in a row, and in a column.
        window: the same of an attention window, a divisor of `side`.
    """
    if side % window:
        raise ValueError(f"windows of {window} x {window} tokens do not tile a picture of {side} x {side}")
    grid = torch.arange(side * side, device=device).view(side // window, window, side // window, window)
    return grid.transpose(1, 2).flatten()


def encode_video(visual: Any, patches: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Tokens of `P` seconds of video.

    Args:
        visual: transformers' vision encoder.
        patches: [P, side², 1176] as `patchify` orders them.
        cos, sin: from `vision_rotary`.

    Returns:
        [P, side²/4, hidden].
    """
    seconds, count, width = patches.shape
    side, tokens = math.isqrt(count) // 2, count // 4
    window = min(visual.window_size // (2 * visual.patch_size), side)
    order = window_order(side, window, patches.device)
    whole, parts = set(visual.fullatt_block_indexes), (side // window) ** 2
    kernel = visual.patch_embed.proj.weight
    x = functional.linear(patches, kernel.view(kernel.shape[0], width))
    x = x.view(seconds, tokens, 4, -1)[:, order].flatten(1, 2)
    cos, sin = (each.view(tokens, 4, -1)[order].flatten(0, 1) for each in (cos, sin))
    run = compiled(_vision_block) if x.is_cuda else _vision_block
    for index, block in enumerate(visual.blocks):
        x = run(block, x, cos, sin, 1 if index in whole else parts)
    merger = visual.merger
    merged: Tensor = merger.mlp(rms_norm(x, merger.ln_q).reshape(seconds, tokens, -1))
    return merged[:, order.argsort()]


def _vision_block(block: Any, x: Tensor, cos: Tensor, sin: Tensor, parts: int) -> Tensor:
    """One layer over `parts` attention windows a picture, whose patches lie together."""
    seconds, count, _ = x.shape
    normed, attention = rms_norm(x, block.norm1), block.attn
    query, key, value = (
        part(normed).view(seconds, count, attention.num_heads, -1) for part in (attention.q, attention.k, attention.v)
    )
    cos, sin = cos[:, None], sin[:, None]
    query, key, value = (
        part.reshape(seconds * parts, count // parts, attention.num_heads, -1).transpose(1, 2)
        for part in (rotate(query, cos, sin), rotate(key, cos, sin), value)
    )
    mixed = functional.scaled_dot_product_attention(query, key, value)
    x = x + attention.proj(mixed.transpose(1, 2).reshape(seconds, count, -1))
    out: Tensor = x + block.mlp(rms_norm(x, block.norm2))
    return out


def encode_audio(tower: Any, mel: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens of `W` windows of sound of one length, and the attention each token receives in the last layer.

    Args:
        tower: transformers' audio encoder.
        mel: [W, 128, frames], frames = 200 (2 s) or 100 (1 s).

    Returns:
        tokens [W, frames/4, hidden] and saliency float32 [W, frames/4], without gradient.
    """
    x = functional.gelu(tower.conv1(mel))
    x = functional.gelu(tower.conv2(x)).transpose(1, 2).contiguous()
    windows, frames, width = x.shape
    x = x + tower.positional_embedding.positional_embedding[:frames].to(x.dtype)
    run = compiled(_audio_layer) if x.is_cuda else _audio_layer
    for layer in tower.layers:
        x, query, key = run(layer, x)
    saliency = received_attention(query.detach(), key.detach())
    pooled = x.view(windows, frames // 2, 2, width).mean(2)
    return tower.proj(tower.ln_post(pooled)), saliency


def _audio_layer(layer: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One layer, and the queries and keys [W, heads, frames, head_dim] of its attention."""
    windows, frames, width = x.shape
    attention, normed = layer.self_attn, layer.self_attn_layer_norm(x)
    query, key, value = (
        part(normed).view(windows, frames, attention.num_heads, -1).transpose(1, 2)
        for part in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    mixed = functional.scaled_dot_product_attention(query, key, value)
    x = x + attention.out_proj(mixed.transpose(1, 2).reshape(windows, frames, width))
    return x + layer.fc2(functional.gelu(layer.fc1(layer.final_layer_norm(x)))), query, key


def received_attention(query: Tensor, key: Tensor) -> Tensor:
    """Post-softmax attention summed over heads and query rows, then over the two frames of a token: float32 [W,
    frames/2]."""
    scores = (query.float() * query.shape[-1] ** -0.5) @ key.float().transpose(-1, -2)
    received: Tensor = scores.softmax(-1).sum((1, 2)).view(len(query), -1, 2).sum(-1)
    return received


def merge_order(tokens: Tensor, anchors: Tensor) -> Tensor:
    """Which tokens of each second stay under temporal token merging.

    Args:
        tokens: [P, n, hidden], all seconds of the batch.
        anchors: int64 [P], the second each is compared with; itself: kept whole.

    Returns:
        int64 [P, n]: for an anchor 0…n-1; else the `MERGED` tokens least like the anchor's, ascending, then anything.
    """
    seconds, count = tokens.shape[:2]
    likeness = functional.cosine_similarity(tokens.float(), tokens.float()[anchors], dim=-1)
    order = likeness.sort(dim=-1, stable=True).indices
    kept = torch.cat([order[:, :MERGED].sort(dim=-1).values, order[:, MERGED:]], dim=-1)
    whole = torch.arange(count, device=tokens.device).expand(seconds, count)
    is_anchor = anchors == torch.arange(seconds, device=tokens.device)
    return torch.where(is_anchor[:, None], whole, kept)


def audio_order(saliency: Tensor, compressed: Tensor) -> Tensor:
    """Which tokens of each audio window stay: int64 [W, n], the kept ones first and ascending; all if not
    `compressed` [W]."""
    windows, count = saliency.shape
    whole = torch.arange(count, device=saliency.device).expand(windows, count)
    kept = functional.pad(keep_audio(saliency), (0, count - round(0.7 * count)))
    return torch.where(compressed[:, None], kept, whole)
