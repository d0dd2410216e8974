"""Score rows of the evaluation table through the packed pass: exact match without decoding token by token.

Greedy decoding gives exactly the right answer if and only if every token of it, and the end, is the likeliest one
given the right ones before it. One forward pass over hundreds of questions tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from nano_omni.training.augment import SpeechBank
from nano_omni.training.batch import Batch, Batcher, Capacity
from nano_omni.training.chat import Chat
from nano_omni.training.forward import make_media, make_scene
from nano_omni.training.rows import Row
from nano_omni.training.sight import Depths
from nano_omni.training.tally import Tally
from nano_omni.training.trainer import Stage, Trainer


class _Papers(IterableDataset[tuple[int, Batch]]):
    def __init__(
        self, chat: Chat, rows: Sequence[Row], capacity: Capacity, batches: int, seed: int, depths: Depths
    ) -> None:
        self._of = [(index, part) for index in range(len(rows)) for part in range(batches)]
        self._chat, self._rows, self._capacity, self._seed, self._depths = chat, rows, capacity, seed, depths

    def __iter__(self) -> Iterator[tuple[int, Batch]]:
        info = torch.utils.data.get_worker_info()
        torch.set_num_threads(1)
        first, every = (info.id, info.num_workers) if info else (0, 1)
        for index, part in self._of[first::every]:
            # The seed depends on the part alone, so rows of one length are asked the same questions about the same
            # streams.
            batcher = Batcher(self._chat, self._rows[index].mix, self._capacity, self._seed + part, self._depths)
            yield index, next(iter(batcher))[0]


def examine(
    trainer: Trainer, chat: Chat, rows: Sequence[Row], *, batches: int, capacity: Capacity, bank: SpeechBank | None,
    workers: int, seed: int = 0,
) -> list[dict[str, Any]]:  # fmt: skip
    """Exact-match table: for each row its name, number of questions, share answered exactly, and the same by
    category."""
    tallies = [Tally() for _ in rows]
    papers = _Papers(chat, rows, capacity, batches, seed, trainer.depths)
    loader = DataLoader(papers, batch_size=None, num_workers=workers)
    dtype = torch.bfloat16 if trainer.device.type == "cuda" else torch.float32
    for index, batch in loader:
        here = batch.to(trainer.device)
        with torch.compiler.set_stance(
            "eager_on_recompile"
        ):  # a length that training never saw is not worth compiling for
            scene = make_scene(here)
        media = make_media(here, scene, rows[index].damage, bank, dtype)
        # With gradients on, though none is taken: without them every layer would be compiled once more.
        logits, _ = trainer.logits(here, media, Stage.PRUNED)
        right = (logits.detach().argmax(-1) == here.labels[:, 1]).cpu().numpy()
        tallies[index].add(batch, batch.labels.numpy(), np.asarray(right))
    results = []
    for row, tally in zip(rows, tallies, strict=True):
        good, count = tally.total
        results.append(
            {"row": row.name, "n": count, "exact": round(good / max(1, count), 4), "by_category": tally.table()}
        )
    return results


def as_table(results: Sequence[dict[str, Any]]) -> str:
    """A line for each row."""
    width = max((len(result["row"]) for result in results), default=0)
    return "\n".join(f"{r['row']:{width}s}  {r['n']:6d}  {100 * r['exact']:6.2f} %" for r in results)
