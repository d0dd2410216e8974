"""The deep half of a guided pass: what is alive in it, and the ragged cache it leaves for the answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pruner.attention import causal_corner
from pruner.families.stack import Angles, TextStack
from pruner.guidance import LayerPruner
from pruner.tokens import Modality, TokenRows
from pruner.transfer import upload

__all__ = ["DeepCache", "DeepPass", "add_level", "beside"]


def add_level(hidden: Tensor, added: Tensor | None, layer: int) -> None:
    """Adds, in place, what is added to rows [n, hidden_size] after `layer`: its part of `added` [n, levels * size]."""
    size = hidden.shape[1]
    if added is not None and (layer + 1) * size <= added.shape[1]:
        hidden += added[:, layer * size : (layer + 1) * size]


def beside(rows: TokenRows, video: Tensor) -> Tensor:
    """Numbers of the video tokens among `rows` [v, width] laid beside all rows [n, width], zero beside the others."""
    spread = video.new_zeros(len(rows), video.shape[1])
    spread[upload(np.flatnonzero(rows.modality == Modality.VIDEO), video.device)] = video
    return spread


class DeepCache:
    """Rotated keys and values of layers F…L-1 of one turn.

    Layers hold different numbers of rows, all known from the schedule, so each gets a fixed capacity in one
    allocation and carries the length in use.

    Args:
        stack: for shapes, dtype and device.
        rows: rows that the guided pass writes into each of the layers, first layer first.
        answer: rows that decoding may add to each.
    """

    def __init__(self, stack: TextStack, rows: Sequence[int], answer: int) -> None:
        self._heads, self._sizes = stack.kv_heads, [count + answer for count in rows]
        shape = (2, sum(self._sizes) * stack.kv_heads, stack.head_dim)
        self._memory = torch.empty(shape, dtype=stack.dtype, device=stack.device)
        parts = torch.split(self._memory, [size * stack.kv_heads for size in self._sizes], dim=1)
        self._layers = [part.view(2, stack.kv_heads, size, -1) for part, size in zip(parts, self._sizes, strict=True)]
        self._used = [0] * len(self._sizes)
        self.nbytes = self._memory.nbytes

    @property
    def used(self) -> tuple[int, ...]:
        """Rows in use of each layer."""
        return tuple(self._used)

    def part(self, layer: int, start: int, stop: int) -> Tensor:
        """Keys and values of some rows of a layer (counted from F), [2, kv_heads, stop - start, head_dim]: a view."""
        return self._layers[layer][:, :, start:stop]

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Adds rows to a layer (counted from F) and returns all its keys and values, [kv_heads, n, head_dim] each."""
        start = self._used[layer]
        stop = self._used[layer] = start + keys.shape[1]
        store = self._layers[layer]
        store[0, :, start:stop] = keys
        store[1, :, start:stop] = values
        return store[0, :, :stop], store[1, :, :stop]

    def append(self, rows: Tensor) -> None:
        """Adds one row to every layer at once: its keys and values, [2, layers, kv_heads, head_dim]."""
        size = np.asarray(self._sizes)
        first = np.cumsum(size * self._heads) - size * self._heads + np.asarray(self._used)
        at = (first[:, None] + size[:, None] * np.arange(self._heads)).flatten()
        self._memory.index_copy_(1, upload(at, self._memory.device), rows.flatten(1, 2))
        self._used = [used + 1 for used in self._used]


class DeepPass:
    """Rows of one conversation on their way through the deep layers.

    Args:
        hidden: [n, hidden_size], the rows' input of the first deep layer.
        angles: of the rows.
        media: int64 [a] on the device, ascending: which rows are audiovisual.
        text: int64 [n - a] on the device, ascending: the others.
        tail: how many of the last rows ask.
        pruner: chooses survivors.
        cache: takes keys and values.
        added: see `pruner.decoder.Extension`; only where no layer has run yet.

    Attributes:
        alive: for every deep layer so far, the original row numbers of the audiovisual tokens that enter it.
        corner: mask of the asking rows among themselves.
    """

    def __init__(
        self,
        hidden: Tensor,
        angles: Angles,
        media: Tensor,
        text: Tensor,
        *,
        tail: int,
        pruner: LayerPruner,
        cache: DeepCache,
        added: Tensor | None = None,
    ) -> None:
        self.hidden = hidden
        self.angles = angles
        self.tail = tail
        self.pruner = pruner
        self.cache = cache
        self.alive: list[Tensor] = []
        self.media = media
        self.corner = causal_corner(tail, hidden.dtype, hidden.device)
        self._text = text
        self._original = media
        self._added = added

    def enter(self) -> None:
        """Notes who is alive, before a layer runs."""
        self.alive.append(self._original)

    def leave(self, layer: int, hidden: Tensor) -> None:
        """Takes the output of `layer` [n, hidden_size], which it may change, and removes what does not survive."""
        add_level(hidden, self._added, layer)
        self.hidden = hidden
        self.drop(layer)

    def drop(self, layer: int) -> None:
        """Removes what does not survive `layer`, keeping the order of the sequence. Waits for nothing."""
        if not self.pruner.drops[layer]:
            return
        kept = self.pruner.select(layer)
        media = self.media[kept]
        rows = torch.cat((self._text, media)).sort().values
        self._original = self._original[kept]
        self.hidden = self.hidden[rows]
        self._added = self._added[rows] if self._added is not None else None
        self.angles = (self.angles[0][rows], self.angles[1][rows])
        self.media = torch.searchsorted(rows, media)
        self._text = torch.searchsorted(rows, self._text)
