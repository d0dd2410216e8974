"""The second implementation row by row, so that evictions and moved positions can be replayed as they happened."""

from __future__ import annotations

import torch
from torch import Tensor

from .reference import Outcome, Pruning, Row, Weights, asking, observe


class Replay:
    """The shallow half kept row by row, the deep half computed afresh for every question.

    Rows carry the rank in which they were fed (their index in `fed`); `keep` and `move` do exactly what
    a store did to its own.
    """

    def __init__(self, weights: Weights, depth: int) -> None:
        self.weights = weights
        self.depth = depth
        self.fed: list[Row] = []
        self.alive: list[int] = []
        self.position: dict[int, tuple[int, int, int]] = {}
        self.keys: list[dict[int, Tensor]] = [{} for _ in range(depth)]
        self.values: list[dict[int, Tensor]] = [{} for _ in range(depth)]
        self.hidden: dict[int, Tensor] = {}

    def append(self, rows: list[Row], score: str | None = None) -> Tensor | None:
        """Runs rows through the shallow layers; with `score`, returns what the asking rows made of the media."""
        new = list(range(len(self.fed), len(self.fed) + len(rows)))
        self.fed += rows
        self.alive += new
        self.position |= {number: row.position for number, row in zip(new, rows, strict=True)}
        hidden = torch.stack([row.embedding for row in rows])
        visible = torch.tensor([[key <= query for key in self.alive] for query in new])
        at = torch.tensor([self.position[number] for number in self.alive])
        media = [j for j, number in enumerate(self.alive) if self.fed[number].media]
        asked = asking(rows, score) if score else []
        running: Tensor | None = None
        for layer in range(self.depth):
            q, k, v = self.weights.project(layer, hidden)
            self.keys[layer] |= dict(zip(new, k, strict=True))
            self.values[layer] |= dict(zip(new, v, strict=True))
            past_keys = torch.stack([self.keys[layer][number] for number in self.alive])
            past_values = torch.stack([self.values[layer][number] for number in self.alive])
            q = self.weights.rotate(q, at[-len(new) :])
            mixed, weight = self.weights.attend(q, self.weights.rotate(past_keys, at), past_values, visible)
            hidden = self.weights.add_later(layer, self.weights.finish(layer, hidden, mixed), rows)
            if score and media:
                running = observe(weight[:, asked][:, :, media], running, score)
        self.hidden |= dict(zip(new, hidden, strict=True))
        return running

    def keep(self, numbers: list[int]) -> None:
        """Only these rows remain."""
        self.alive = [number for number in self.alive if number in set(numbers)]

    def back(self, length: int) -> None:
        """Forgets every row fed after the first `length`."""
        del self.fed[length:]
        self.alive = [number for number in self.alive if number < length]

    def move(self, positions: dict[int, tuple[int, int, int]]) -> None:
        """Rows have new position ids."""
        self.position |= positions

    def deep(self, pruning: Pruning, running: Tensor | None) -> Outcome:
        """Layers F…L-1 over everything kept, for the question last appended (and any answer rows after it)."""
        alive = list(self.alive)
        end = max(number for number in alive if self.fed[number].kind == "header")
        asked = set(self._asked(end, pruning.score))
        hidden = torch.stack([self.hidden[number] for number in alive])
        entering: list[list[int]] = []
        drop = pruning.drops[self.depth - 1]
        for layer in range(self.depth, len(self.weights.layers) + 1):
            media = [j for j, number in enumerate(alive) if self.fed[number].media]
            if drop:
                assert running is not None
                kept = pruning.survivors(running, [self.fed[alive[j]].chunk for j in media], drop)
                gone = set(media) - {media[j] for j in kept}
                chosen = [j for j in range(len(alive)) if j not in gone]
                alive, hidden, running = [alive[j] for j in chosen], hidden[chosen], running[kept]
                media = [j for j, number in enumerate(alive) if self.fed[number].media]
            if layer == len(self.weights.layers):
                break
            entering.append([alive[j] for j in media])
            at = torch.tensor([self.position[number] for number in alive])
            q, k, v = self.weights.project(layer, hidden)
            causal = torch.ones(len(alive), len(alive), dtype=torch.bool).tril()
            mixed, weight = self.weights.attend(self.weights.rotate(q, at), self.weights.rotate(k, at), v, causal)
            hidden = self.weights.finish(layer, hidden, mixed)
            rows = [j for j, number in enumerate(alive) if number in asked]
            if media:
                running = observe(weight[:, rows][:, :, media], running, pruning.score)
            drop = pruning.drops[layer]
        final = self.weights.logits(hidden)
        return Outcome([final[j] for j, number in enumerate(alive) if number >= end], entering, running)

    def _asked(self, end: int, score: str) -> list[int]:
        return asking(self.fed[: end + 1], score)
