"""LayeredDecoder: all that goes through decoder layers. Its shallow half is `pruner.shallow`; short passes in fixed
shapes, where they are wanted, are `pruner.fixed`.

`fuse` runs new rows through the shallow layers 0…F-1 over a conversation's store; `guide` does so for a question,
scoring the audiovisual past as it goes, and then runs everything kept through the deep layers F…L-1, dropping tokens
on the way; `decode` takes one answer token through both. With F = 0 there is no store: `prefill` is the paper's
one-shot form.

Every call works on several conversations: what is done row by row (projections, MLPs, norms) is done for all of them
in one product, attention is done conversation by conversation. All counts come from the host's schedule, so nothing
in a pass waits for the device.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pruner.attention import extend, square, watch
from pruner.deep import DeepCache, DeepPass
from pruner.families.stack import Angles, TextStack
from pruner.fixed import FixedPasses
from pruner.guidance import LayerPruner
from pruner.packed import join, spans
from pruner.passes import Extension, Query
from pruner.shallow import ShallowLayers
from pruner.transfer import upload

__all__ = ["Guided", "LayeredDecoder"]


@dataclass(frozen=True)
class Guided:
    """What a guided pass leaves.

    Attributes:
        logits: [vocabulary], for the first answer token.
        cache: the deep cache.
        alive: for layers F…L-1, the store rows (int64, device) of the audiovisual tokens that enter it.
    """

    logits: Tensor
    cache: DeepCache
    alive: list[Tensor]


class LayeredDecoder:
    """See the module.

    Args:
        stack: the model's decoder.
        depth: fusion depth F, `0 <= F < L`.
        fixed: runs short passes in fixed shapes instead; None for the exact shapes always.

    Attributes:
        depth, fixed: as given.
    """

    def __init__(self, stack: TextStack, depth: int, fixed: FixedPasses | None = None) -> None:
        self._stack = stack
        self.depth = depth
        self.fixed = fixed
        self._shallow = ShallowLayers(stack, depth)

    @torch.inference_mode()
    def fuse(self, items: Iterable[Extension]) -> None:
        """Adds rows to the stores of several conversations (at most one item a store).

        With fixed passes one item after the other: the device works on one while the host makes the next.
        """
        if self.fixed is None:
            self._shallow.fuse(list(items))
            return
        for item in items:
            if self.fixed.takes(item):
                self.fixed.fuse(item)
            else:
                self._shallow.fuse([item])

    @torch.inference_mode()
    def guide(self, items: Sequence[Query]) -> list[Guided]:
        """Adds questions to their stores and runs the deep layers over everything kept."""
        rows = [self._kinds(item) for item in items]
        if self.fixed is None or not all(map(self.fixed.takes_question, items)):
            self._shallow.ask(items, [media for media, _ in rows])
        else:
            for item, (media, _) in zip(items, rows, strict=True):
                self.fixed.ask(item, media)
        return self._deepen([self._deep(item, *kinds) for item, kinds in zip(items, rows, strict=True)])

    @torch.inference_mode()
    def prefill(
        self,
        hidden: Tensor,
        positions: Tensor,
        media: Tensor,
        text: Tensor,
        *,
        tail: int,
        answer: int,
        pruner: LayerPruner,
        added: Tensor | None = None,
    ) -> Guided:
        """The one-shot form, for F = 0: a whole sequence, pruned from the first layer on.

        Args:
            hidden: [n, hidden_size] embeddings.
            positions: int64 [3, n].
            media, text: int64, which rows are audiovisual and which are not, ascending.
            tail, answer, pruner, added: as in `Query`.
        """
        cache = self._cache(len(text), len(media), pruner, answer)
        angles = self._stack.angles(positions)
        one = DeepPass(hidden, angles, media, text, tail=tail, pruner=pruner, cache=cache, added=added)
        return self._deepen([one])[0]

    @torch.inference_mode()
    def decode(self, items: Sequence[tuple[Extension | None, DeepCache]], hidden: Tensor, positions: Tensor) -> Tensor:
        """One token of each of B answers.

        Args:
            items: the extension of one row for the store (None with F = 0), and the turn's deep cache.
            hidden: [B, hidden_size] embeddings of the tokens.
            positions: int64 [3, B].

        Returns:
            [B, vocabulary] logits for the tokens that follow.
        """
        shallow = [item for item, _ in items if item is not None]
        if self.depth:
            self._shallow.fuse(shallow)
            hidden = torch.stack([item.store.hidden[item.store.length - 1] for item in shallow])
        angles = self._stack.angles(positions)
        for layer in range(self.depth, self._stack.layers):
            q, _, k, v = self._stack.project(layer, hidden, angles)
            mixed = []
            for index, (_, cache) in enumerate(items):
                row = slice(index, index + 1)
                keys, values = cache.extend(layer - self.depth, k[:, row], v[:, row])
                mixed.append(extend(q[:, row], keys, values, None))
            hidden = self._stack.finish(layer, hidden, join(mixed, 1))
        return self._stack.logits(hidden)

    # The deep half.

    def _kinds(self, item: Query) -> tuple[Tensor, Tensor]:
        """Rows that will be audiovisual and rows that will not, once the question is in the store; on the device."""
        media = np.concatenate((item.store.rows.media, item.rows.media))
        return upload(np.flatnonzero(media), self._stack.device), upload(np.flatnonzero(~media), self._stack.device)

    def _cache(self, text: int, media: int, pruner: LayerPruner, answer: int) -> DeepCache:
        alive = np.concatenate(([media], media - np.cumsum(pruner.drops)))[self.depth : self._stack.layers]
        return DeepCache(self._stack, [text + int(count) for count in alive], answer)

    def _deep(self, item: Query, media: Tensor, text: Tensor) -> DeepPass:
        store = item.store
        used = slice(0, store.length)
        one = DeepPass(
            store.hidden[used],
            self._stack.angles(store.positions[:, used]),
            media,
            text,
            tail=item.tail,
            pruner=item.pruner,
            cache=self._cache(len(text), len(media), item.pruner, item.answer),
        )
        one.drop(self.depth - 1)
        return one

    def _deepen(self, passes: Sequence[DeepPass]) -> list[Guided]:
        """Layers F…L-1 for everything kept; the last layer computes one row of each pass."""
        last = self._stack.layers - 1
        for layer in range(self.depth, last):
            pieces = spans([len(one.hidden) for one in passes])
            hidden = join([one.hidden for one in passes], 0)
            q, _, k, v = self._stack.project(layer, hidden, _angles(passes))
            mixed = [
                self._whole(layer, one, q[:, span], k[:, span], v[:, span])
                for one, span in zip(passes, pieces, strict=True)
            ]
            hidden = self._stack.finish(layer, hidden, join(mixed, 1))
            for one, span in zip(passes, pieces, strict=True):
                one.leave(layer, hidden[span])
        logits = self._final(passes, last)
        return [Guided(row, one.cache, one.alive) for row, one in zip(logits, passes, strict=True)]

    def _whole(self, layer: int, one: DeepPass, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention of all rows of one pass over themselves, watching what the asking rows look at."""
        one.enter()
        keys, values = one.cache.extend(layer - self.depth, k, v)
        body = q.shape[1] - one.tail
        tail, weights = watch(q[:, body:], keys, values, one.corner)
        if len(one.media):
            one.pruner.observe(layer, weights[:, :, one.media])
        if not body:
            return tail
        return torch.cat((square(q[:, :body], keys[:, :body], values[:, :body]), tail), dim=1)

    def _final(self, passes: Sequence[DeepPass], layer: int) -> Tensor:
        """The last layer: keys and values of all rows for the cache, the output of the last row only."""
        mixed = []
        for one in passes:
            one.enter()
            query, k, v = self._stack.project_last(layer, one.hidden, one.angles)
            mixed.append(extend(query, *one.cache.extend(layer - self.depth, k, v), None))
        ends = torch.cat([one.hidden[-1:] for one in passes])
        return self._stack.logits(self._stack.finish(layer, ends, join(mixed, 1)))


def _angles(passes: Sequence[DeepPass]) -> Angles:
    return join([one.angles[0] for one in passes], 0), join([one.angles[1] for one in passes], 0)
