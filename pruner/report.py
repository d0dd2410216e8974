"""What an answer was drawn from: survivors by layer and by window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pruner.store import Chunk, FusionStore
from pruner.tokens import Modality, TokenRows
from pruner.transfer import Fetched

__all__ = ["ChunkSurvivors", "Record", "TurnReport"]


@dataclass(frozen=True)
class ChunkSurvivors:
    """Tokens of one window that enter each layer 0…L-1; `start` and `end` in stream seconds."""

    start: float
    end: float
    video: list[int]
    audio: list[int]


@dataclass(frozen=True)
class TurnReport:
    """What an answer was drawn from.

    Attributes:
        tokens_per_layer: audiovisual tokens that enter each layer 0…L-1.
        survivors: the same by window, oldest first.
        retention: their layer mean relative to the raw tokens of the windows the store still represented.
        deep_share: mean share of the stored tokens over layers F…L-1.
        prompt_tokens: rows of the sequence the question ended, as the store held them.
        generated: answer tokens so far.
    """

    tokens_per_layer: list[int]
    survivors: list[ChunkSurvivors]
    retention: float
    deep_share: float
    prompt_tokens: int
    generated: int


@dataclass(frozen=True)
class Record:
    """What the store held when the question was asked; the rows are copies.

    Attributes:
        rows: rows of the store.
        chunks: its windows.
        raw: raw tokens they stand for.
        depth: fusion depth F.
        alive: store rows of the audiovisual tokens entering layers F…L-1.
    """

    rows: TokenRows
    chunks: dict[int, Chunk]
    raw: int
    depth: int
    alive: list[Tensor]

    def by_layer(self) -> list[npt.NDArray[np.int64]]:
        """Store rows of the audiovisual tokens that enter each layer 0…L-1. Waits for the device."""
        stored = np.flatnonzero(self.rows.media)
        ends = np.cumsum([len(index) for index in self.alive])
        return [stored] * self.depth + np.split(Fetched(torch.cat(self.alive)).numpy(), ends[:-1])

    @classmethod
    def of(cls, store: FusionStore, depth: int, alive: list[Tensor]) -> Record:
        """Of a store as it is now."""
        rows = store.rows.take(np.arange(store.length))
        return cls(rows, dict(store.chunks), store.raw_tokens, depth, alive)

    def report(self, generated: int) -> TurnReport:
        """Everything counted. Waits for the device."""
        layers = self.by_layer()
        counts = [len(index) for index in layers]
        deep = counts[self.depth :]
        return TurnReport(
            tokens_per_layer=counts,
            survivors=_by_chunk(self, layers),
            retention=sum(counts) / (len(counts) * (self.raw or 1)),
            deep_share=sum(deep) / (len(deep) * (counts[0] or 1)),
            prompt_tokens=len(self.rows),
            generated=generated,
        )


def _by_chunk(record: Record, layers: Sequence[npt.NDArray[np.int64]]) -> list[ChunkSurvivors]:
    numbers = sorted(record.chunks)
    edges = np.asarray([*numbers, (numbers[-1] if numbers else 0) + 1])

    def counts(modality: Modality) -> npt.NDArray[np.int64]:
        """int [layers, chunks]."""
        found = []
        for index in layers:
            chosen = index[record.rows.modality[index] == modality]
            found.append(np.histogram(record.rows.chunk[chosen], edges)[0])
        return np.asarray(found)

    video, audio = counts(Modality.VIDEO), counts(Modality.AUDIO)
    return [
        ChunkSurvivors(
            record.chunks[number].start, record.chunks[number].end, video[:, at].tolist(), audio[:, at].tolist()
        )
        for at, number in enumerate(numbers)
    ]
