"""Qwen3-Omni's vision encoder over many temporal patches at once, with its deepstack features.

Attention spans a temporal patch, so patches of different windows and conversations share a batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pruner.families.frames import HALF, MERGE, TEMPORAL, patchify

__all__ = ["PATCH", "VisionTower3"]

PATCH = 16
"""Pixels along a side of a patch."""


class VisionTower3:
    """The encoder for frames of one shape.

    Args:
        module: transformers' `Qwen3OmniMoeVisionEncoder`.
        rows, columns: tokens of a temporal patch; frames are `32 * rows` x `32 * columns` pixels.
    """

    def __init__(self, module: Any, rows: int, columns: int) -> None:
        self._module = module
        self.rows, self.columns = rows, columns
        self.height, self.width = rows * PATCH * MERGE, columns * PATCH * MERGE
        self._heads: int = module.blocks[0].attn.num_heads
        weight = module.patch_embed.proj.weight
        self.dtype: torch.dtype = weight.dtype
        self.device: torch.device = weight.device
        self._levels = list(module.deepstack_visual_indexes)
        row, column = self._places()
        self._learned = self._resampled(row, column)
        self._angles = self._rotary(row, column)

    def _places(self) -> tuple[Tensor, Tensor]:
        """Row and column of every patch, in the order of `patchify`: the four of a token together."""
        row, column = torch.meshgrid(torch.arange(self.rows), torch.arange(self.columns), indexing="ij")
        inner_row, inner_column = torch.meshgrid(torch.arange(MERGE), torch.arange(MERGE), indexing="ij")
        return (
            (row.flatten()[:, None] * MERGE + inner_row.flatten()).flatten(),
            (column.flatten()[:, None] * MERGE + inner_column.flatten()).flatten(),
        )

    def _resampled(self, row: Tensor, column: Tensor) -> Tensor:
        """Learned position embeddings [patches, width], bilinear between those of a square grid."""
        table: Tensor = self._module.pos_embed.weight
        side = int(len(table) ** 0.5)
        grid = table.view(side, side, -1)
        wide = torch.float64 if self.dtype == torch.float64 else torch.float32
        along = [
            place.to(wide) * (side - 1) / max(MERGE * count - 1, 1)
            for place, count in ((row, self.rows), (column, self.columns))
        ]
        low = [place.long().clamp_max(side - 1) for place in along]
        high = [(place + 1).clamp_max(side - 1) for place in low]
        part = [(place - floor).to(table.device, table.dtype)[:, None] for place, floor in zip(along, low, strict=True)]
        upper = grid[low[0], low[1]] * (1 - part[1]) + grid[low[0], high[1]] * part[1]
        lower = grid[high[0], low[1]] * (1 - part[1]) + grid[high[0], high[1]] * part[1]
        return upper * (1 - part[0]) + lower * part[0]

    def _rotary(self, row: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine of the patches' angles, each [patches, head_dim]."""
        config = self._module.config
        half = config.hidden_size // config.num_heads // 2
        theta = float((getattr(config, "rope_parameters", None) or {}).get("rope_theta", 10_000.0))
        frequencies = 1.0 / theta ** (torch.arange(0, half, 2, dtype=torch.float) / half)
        axes = torch.cat((row[:, None] * frequencies, column[:, None] * frequencies), dim=-1)
        angle = torch.cat((axes, axes), dim=-1).to(self.device)
        wide = torch.float64 if self.dtype == torch.float64 else torch.float32
        return angle.cos().to(wide), angle.sin().to(wide)

    def __call__(self, frames: Tensor) -> Tensor:
        """Tokens of frames, with what deepstack adds to them later on.

        Args:
            frames: uint8 [B, T, height, width, 3]; T even.

        Returns:
            [B, T/2, rows * columns, hidden * (1 + levels)], row-major inside a temporal patch; see `Vision`.
        """
        batch, count = frames.shape[:2]
        tokens = self.tokens(patchify(frames, dtype=self.dtype, patch=PATCH, normal=HALF))
        return tokens.view(batch, count // TEMPORAL, self.rows * self.columns, -1)

    def tokens(self, patches: Tensor) -> Tensor:
        """The same of patches as `patchify` orders them: [G * patches, 1536] to [G, rows * columns, …]."""
        module = self._module
        grids = len(patches) // len(self._learned)
        kernel = module.patch_embed.proj
        hidden = functional.linear(patches, kernel.weight.flatten(1), kernel.bias)
        hidden = hidden.view(grids, len(self._learned), -1) + self._learned
        deeper = []
        for index, block in enumerate(module.blocks):
            hidden = self._block(block, hidden)
            if index in self._levels:
                deeper.append(self._merged(module.merger_list[self._levels.index(index)], hidden))
        return torch.cat((self._merged(module.merger, hidden), *deeper), dim=-1)

    def _merged(self, merger: Any, hidden: Tensor) -> Tensor:
        """Four patches to a token: [grids, patches, width] to [grids, rows * columns, hidden]."""
        tokens: Tensor = merger(hidden.flatten(0, 1))
        return tokens.view(len(hidden), self.rows * self.columns, -1)

    def _block(self, block: Any, hidden: Tensor) -> Tensor:
        attention = block.attn
        joined = attention.qkv(block.norm1(hidden)).unflatten(-1, (3, self._heads, -1))
        q, k, v = joined.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(self._turn(q), self._turn(k), v)
        hidden = hidden + attention.proj(mixed.transpose(1, 2).flatten(2))
        output: Tensor = hidden + block.mlp(block.norm2(hidden))
        return output

    def _turn(self, x: Tensor) -> Tensor:
        """Rotary embedding of [grids, heads, patches, head_dim], in fp32 at least, as the encoder was trained."""
        cosine, sine = self._angles
        wide = x.to(cosine.dtype)
        first, second = wide.chunk(2, dim=-1)
        return (wide * cosine + torch.cat((-second, first), dim=-1) * sine).to(x.dtype)
