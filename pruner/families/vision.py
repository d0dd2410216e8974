"""Qwen2.5's vision encoder over many temporal patches at once.

transformers loops over attention windows in Python; since live frames all have one shape, they batch instead.
Attention is per temporal patch, so patches of different windows and conversations share a batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pruner.families.frames import MERGE, PATCH, TEMPORAL, patchify

__all__ = ["VisionTower"]


class VisionTower:
    """The encoder for frames of one shape.

    Args:
        module: transformers' `Qwen2_5OmniVisionEncoder`.
        rows, columns: tokens of a temporal patch; frames are `28 * rows` x `28 * columns` pixels.
    """

    def __init__(self, module: Any, rows: int, columns: int) -> None:
        self._module = module
        self.rows, self.columns = rows, columns
        self.height, self.width = rows * PATCH * MERGE, columns * PATCH * MERGE
        self._heads: int = module.blocks[0].attn.num_heads
        weight = module.patch_embed.proj.weight
        self.dtype: torch.dtype = weight.dtype
        self.device: torch.device = weight.device
        side = int(module.window_size) // MERGE // PATCH
        self._order, self._window = self._windows(side)
        self._places = self._order.to(self.device)
        self._angles = self._rotary(module.config)
        self._masks = {True: None, False: self._mask()}
        self._full = set(module.fullatt_block_indexes)

    def _windows(self, side: int) -> tuple[Tensor, Tensor]:
        """Order of tokens that puts attention windows of `side` x `side` tokens together, and each one's window."""
        row, column = torch.meshgrid(torch.arange(self.rows), torch.arange(self.columns), indexing="ij")
        window = ((row // side) * -(-self.columns // side) + column // side).flatten()
        order = window.sort(stable=True).indices
        return order, window[order]

    def _rotary(self, config: Any) -> tuple[Tensor, Tensor]:
        """Cosine and sine of the patches' angles, each [patches, head_dim], in window order."""
        pairs = (config.hidden_size // config.num_heads) // 2
        theta = float((getattr(config, "rope_parameters", None) or {}).get("rope_theta", 10_000.0))
        frequencies = 1.0 / theta ** (torch.arange(0, pairs, 2, dtype=torch.float) / pairs)
        # patches of a token lie together, as in `patchify`
        row, column = torch.meshgrid(torch.arange(self.rows), torch.arange(self.columns), indexing="ij")
        inner_row, inner_column = torch.meshgrid(torch.arange(MERGE), torch.arange(MERGE), indexing="ij")
        rows = (row.flatten()[self._order, None] * MERGE + inner_row.flatten()).flatten()
        columns = (column.flatten()[self._order, None] * MERGE + inner_column.flatten()).flatten()
        half = torch.cat((rows[:, None] * frequencies, columns[:, None] * frequencies), dim=-1)
        angle = torch.cat((half, half), dim=-1).to(self.device)
        wide = torch.float64 if self.dtype == torch.float64 else torch.float32
        return angle.cos().to(wide), angle.sin().to(wide)

    def _mask(self) -> Tensor | None:
        """Additive mask [patches, patches] that separates attention windows; None where there is a single one."""
        if int(self._window[-1]) == 0:
            return None
        window = self._window.repeat_interleave(MERGE * MERGE)
        apart = window[:, None] != window[None, :]
        return torch.zeros(apart.shape, dtype=self.dtype).masked_fill(apart, float("-inf")).to(self.device)

    def __call__(self, frames: Tensor) -> Tensor:
        """Tokens of frames.

        Args:
            frames: uint8 [B, T, height, width, 3]; T even.

        Returns:
            [B, T/2, rows * columns, hidden] as the decoder takes them, row-major inside a temporal patch.
        """
        batch, count = frames.shape[:2]
        tokens = self.tokens(patchify(frames, dtype=self.dtype))
        return tokens.view(batch, count // TEMPORAL, self.rows * self.columns, -1)

    def tokens(self, patches: Tensor) -> Tensor:
        """Tokens of patches as `patchify` orders them: [G * patches, 1176] to [G, rows * columns, hidden]."""
        grids = len(patches) // (self.rows * self.columns * MERGE * MERGE)
        kernel = self._module.patch_embed.proj.weight.flatten(1)
        hidden = functional.linear(patches, kernel).view(grids, self.rows * self.columns, MERGE * MERGE, -1)
        hidden = hidden[:, self._places].flatten(1, 2)
        for index, block in enumerate(self._module.blocks):
            hidden = self._block(block, hidden, self._masks[index in self._full])
        merger = self._module.merger
        tokens = merger.mlp(_norm(hidden, merger.ln_q).view(grids, self.rows * self.columns, -1))
        result = torch.empty_like(tokens)
        result[:, self._places] = tokens
        return result

    def _block(self, block: Any, hidden: Tensor, mask: Tensor | None) -> Tensor:
        attention = block.attn
        normed = _norm(hidden, block.norm1)
        q, k, v = (
            linear(normed).unflatten(-1, (self._heads, -1)).transpose(1, 2)
            for linear in (attention.q, attention.k, attention.v)
        )
        mixed = functional.scaled_dot_product_attention(self._turn(q), self._turn(k), v, attn_mask=mask)
        hidden = hidden + attention.proj(mixed.transpose(1, 2).flatten(2))
        output: Tensor = hidden + block.mlp(_norm(hidden, block.norm2))
        return output

    def _turn(self, x: Tensor) -> Tensor:
        """Rotary embedding of [grids, heads, patches, head_dim], in fp32 at least, as the encoder was trained."""
        cosine, sine = self._angles
        wide = x.to(cosine.dtype)
        first, second = wide.chunk(2, dim=-1)
        return (wide * cosine + torch.cat((-second, first), dim=-1) * sine).to(x.dtype)


def _norm(hidden: Tensor, module: Any) -> Tensor:
    return functional.rms_norm(hidden, (hidden.shape[-1],), module.weight, module.variance_epsilon)
