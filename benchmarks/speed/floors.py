"""What a pass must at least cost: its arithmetic at the measured rate, or its bytes at the measured bandwidth.

Every weight is read once and every key and value once; activations are left out. A multiply-add counts as two
operations. No version of a pass runs much below the larger of the two times.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmarks.speed.stopwatch import Stopwatch
from pruner.families.frames import MERGE
from pruner.families.omni import OmniModel
from pruner.families.qwen2_5_omni import part
from pruner.flops import DecoderShape, layer_flops

__all__ = ["Costs", "Rates", "Work", "measure_rates"]

_MEL_FRAMES = 100
"""A second of sound."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What a device was measured to reach: operations and bytes (read and written) a second."""

    flops: float
    bytes: float


@dataclass(frozen=True, slots=True)
class Work:
    """Operations and bytes of a pass."""

    flops: float
    bytes: float

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.bytes + other.bytes)

    def floor_ms(self, rates: Rates) -> float:
        """The larger of the two times."""
        return 1e3 * max(self.flops / rates.flops, self.bytes / rates.bytes)


def measure_rates(watch: Stopwatch, dtype: torch.dtype) -> Rates:
    """A large copy on the device, and a large product of random matrices."""
    gpu = watch.device.type == "cuda"
    source = torch.randint(0, 256, (2**32 if gpu else 2**26,), dtype=torch.uint8, device=watch.device)
    target = torch.empty_like(source)
    copied = watch.typical(lambda: target.copy_(source))
    size = 8192 if gpu else 1024
    left, right = (torch.randn(size, size, dtype=dtype, device=watch.device) for _ in range(2))
    made = torch.empty_like(left)
    multiplied = watch.typical(lambda: torch.matmul(left, right, out=made))
    return Rates(2e3 * size**3 / multiplied.median, 2e3 * source.nbytes / copied.median)


class Costs:
    """Work of the passes of one model."""

    def __init__(self, omni: OmniModel) -> None:
        self.shape = DecoderShape.read(omni.thinker.config.text_config)
        self._omni = omni
        self._item = omni.stack.dtype.itemsize
        text = getattr(omni.thinker.model, "language_model", omni.thinker.model)
        self._layer_bytes = self._item * _numbers([text.layers[0]])
        self._row_bytes = 2 * self._item * self.shape.kv_heads * self.shape.head_dim

    def layers(self, count: int, rows: int, past: int = 0) -> Work:
        """`rows` new rows through `count` layers that hold `past` rows each."""
        flops = layer_flops(self.shape, rows, past)
        return Work(count * flops, count * (self._layer_bytes + (past + rows) * self._row_bytes))

    def deep(self, alive: Sequence[int]) -> Work:
        """One layer for each number of rows, over themselves."""
        works = [self.layers(1, rows) for rows in alive]
        return Work(sum(one.flops for one in works), sum(one.bytes for one in works))

    def head(self) -> Work:
        """Logits of one row."""
        weights = self.shape.hidden * self.shape.vocabulary
        return Work(2 * weights, weights * self._item)

    def seen(self, patches: int) -> Work:
        """The vision tower over temporal patches (1 s each)."""
        tower: Any = part(self._omni.thinker, "visual")
        config, facts = tower.config, self._omni.facts
        tokens = facts.rows * facts.columns
        rows = tokens * MERGE * MERGE
        side = config.window_size // config.patch_size
        windows = _split(MERGE * facts.rows, side), _split(MERGE * facts.columns, side)
        inside = sum((high * wide) ** 2 for high in windows[0] for wide in windows[1])
        whole = len(config.fullatt_block_indexes)
        pairs = whole * rows**2 + (config.depth - whole) * inside
        per_row, per_token = _numbers([tower.patch_embed, *tower.blocks]), _numbers([tower.merger])
        # the merger's map works on four rows at once
        flops = 2 * (rows * per_row + tokens * per_token) + 4 * config.hidden_size * pairs
        return Work(patches * flops, self._item * (per_row + per_token))

    def heard(self, seconds: int, windows: int = 1) -> Work:
        """The audio tower over windows of some seconds each."""
        tower: Any = part(self._omni.thinker, "audio_tower")
        frames, halves = _MEL_FRAMES * seconds, _MEL_FRAMES * seconds // 2
        first, rest, last = _numbers([tower.conv1]), _numbers([tower.conv2, *tower.layers]), _numbers([tower.proj])
        pairs = len(tower.layers) * halves**2 * 4 * tower.config.d_model
        flops = 2 * (frames * first + halves * rest + halves // 2 * last) + pairs
        return Work(windows * flops, self._item * (first + rest + last))


def _numbers(modules: Iterable[nn.Module]) -> int:
    return sum(weight.numel() for module in modules for weight in module.parameters())


def _split(length: int, side: int) -> list[int]:
    return [min(side, length - start) for start in range(0, length, side)]
