"""The passes that are recorded, and the memory that they are given numbers in and leave numbers in.

No shape, address or decision in a pass may depend on anything but its arguments.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pruner.attention import cover, survey, used_mask
from pruner.families.stack import TextStack
from pruner.guidance import Score
from pruner.workspace import Workspace

__all__ = ["MOST_ROWS", "RecordedPasses"]

MOST_ROWS = 1024
"""Rows of a pass above which the device has enough to do."""


class RecordedPasses:
    """New rows through the shallow layers, and a step of an answer through all layers.

    Args:
        stack: the decoder.
        depth: fusion depth F, at least 1.
        space: the keys and values that attention reads and new rows are written to.

    Attributes:
        where: int64 [3 + 3 rows], given to `shallow`: where the new rows begin, the first row that asks and the first
            that no longer does, positions.
        given: [rows, hidden_size], given to `shallow`: embeddings.
        step: int64 [3 + L], given to `answer`: position, and rows in use of each layer.
        token: int64 [1], given to `answer`.
        hidden, keys: what enters layer F, and the un-rotated keys of the shallow layers, of new rows.
        scores: [columns], what the asking rows look at.
        row: [2, L - F, kv_heads, head_dim], keys and values of an answer's row in the deep layers.
        logits, next: [vocabulary], and the likeliest token, int64 [1].
    """

    def __init__(self, stack: TextStack, depth: int, space: Workspace) -> None:
        self._stack, self._depth, self._space = stack, depth, space
        self.where = self._new(3 + 3 * MOST_ROWS, dtype=torch.int64)
        self.step = self._new(3 + stack.layers, dtype=torch.int64)
        self.token = self._new(1, dtype=torch.int64)
        self.given = self._new(MOST_ROWS, stack.hidden_size)
        self.hidden = self._new(MOST_ROWS, stack.hidden_size)
        self.keys = self._new(depth, stack.kv_heads, MOST_ROWS, stack.head_dim)
        self.scores = self._new(0)
        self.logits = self._new(stack.vocabulary)
        self.next = self._new(1, dtype=torch.int64)
        self.row = self._new(2, stack.layers - depth, stack.kv_heads, stack.head_dim)
        self._deep_layers = torch.arange(stack.layers - depth, device=stack.device)

    def widen(self, columns: int) -> None:
        """Makes room for the scores of so many columns."""
        self.scores = self._new(columns, dtype=self._wide)

    def bytes_for(self, columns: int) -> int:
        """Exactly what `nbytes` will be with room for so many columns."""
        return columns * self._wide.itemsize + sum(one.nbytes for one in self._own())

    @property
    def nbytes(self) -> int:
        """Bytes of all memory here, measured."""
        return self.scores.nbytes + sum(one.nbytes for one in self._own())

    def shallow(self, rows: int, columns: int, score: Score | None) -> None:
        """Layers 0…F-1 for `rows` rows over `columns` columns; with a score, what the asking rows look at."""
        stack, numbers = self._stack, torch.arange(rows, device=self._stack.device)
        angles = stack.angles(self.where[3 : 3 + 3 * rows].view(3, rows))
        index = self.where[0] + numbers
        mask = used_mask(index, columns, stack.dtype)
        asking = (numbers >= self.where[1]) & (numbers < self.where[2])
        hidden = self.given[:rows]
        scores: Tensor | None = None
        for layer in range(self._depth):
            q, k, turned, v = stack.project(layer, hidden, angles)
            keys, values = self._write(self._space.shallow, layer, index, turned, v)
            self.keys[layer, :, :rows] = k
            if score is None:
                mixed = cover(q, keys[:, :columns], values[:, :columns], mask)
            else:
                mixed, weights = survey(q, keys[:, :columns], values[:, :columns], mask)
                # a mean is of one layer, the last before the first drop
                if score != "mean" or layer == self._depth - 1:
                    scores = _observed(weights, asking, score, scores)
            hidden = stack.finish(layer, hidden, mixed)
        self.hidden[:rows] = hidden
        if scores is not None:
            self.scores[:columns] = scores

    def answer(self, shallow: int, deep: int) -> None:
        """All layers for one row, over so many columns of the shallow and of the deep layers."""
        stack, depth, lengths = self._stack, self._depth, self.step[3:]
        angles = stack.angles(self.step[:3].view(3, 1))
        masks = used_mask(lengths[0], shallow, stack.dtype), used_mask(lengths[depth:], deep, stack.dtype)
        hidden = stack.embed(self.token)
        for layer in range(stack.layers):
            below, at = layer < depth, lengths[layer : layer + 1]
            q, k, turned, v = stack.project(layer, hidden, angles)
            if below:
                keys, values = self._write(self._space.shallow, layer, at, turned, v)
                self.keys[layer, :, :1] = k
                mixed, _ = survey(q, keys[:, :shallow], values[:, :shallow], masks[0])
            else:
                keys, values = self._write(self._space.deep, layer - depth, at, turned, v)
                mixed, _ = survey(q, keys[:, :deep], values[:, :deep], masks[1][layer - depth])
            hidden = stack.finish(layer, hidden, mixed)
            if layer == depth - 1:
                self.hidden[:1] = hidden
        self.row.copy_(self._space.deep[:, self._deep_layers, :, lengths[depth:]].transpose(0, 1))
        logits = stack.logits(hidden)[0]
        self.logits.copy_(logits)
        self.next.copy_(logits.argmax(dim=-1, keepdim=True))

    @staticmethod
    def _write(memory: Tensor, layer: int, index: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Puts new rows in their places and returns the layer's keys and values."""
        all_keys, all_values = memory[0, layer], memory[1, layer]
        all_keys.index_copy_(1, index, keys)
        all_values.index_copy_(1, index, values)
        return all_keys, all_values

    def _own(self) -> list[Tensor]:
        """Memory whose size does not depend on any conversation."""
        given = [self.where, self.step, self.token, self.given]
        return [*given, self.hidden, self.keys, self.logits, self.next, self.row, self._deep_layers]

    @property
    def _wide(self) -> torch.dtype:
        return torch.float64 if self._stack.dtype == torch.float64 else torch.float32

    def _new(self, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        return torch.zeros(shape, dtype=dtype or self._stack.dtype, device=self._stack.device)


def _observed(weights: Tensor, asking: Tensor, score: Score, before: Tensor | None) -> Tensor:
    """`Guidance.observe` on all columns, where which rows ask is known on the device only.

    Args:
        weights: [heads, rows, columns], after the softmax.
        asking: bool [rows].
        before: [columns], the scores so far.
    """
    if score == "mean":
        share = asking.to(weights.dtype) / asking.sum()
        return share @ weights.mean(dim=0)
    peak = weights.amax(dim=0).masked_fill(~asking[:, None], 0).amax(dim=0)
    return peak if before is None else torch.maximum(before, peak)
