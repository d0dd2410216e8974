"""Batches of a run from loader processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from nano_omni.training.batch import Batch, Batcher, Capacity
from nano_omni.training.chat import Chat
from nano_omni.training.mix import Mix
from nano_omni.training.plan import SHORT_UNTIL, stage_at
from nano_omni.training.sight import Depths
from nano_omni.training.trainer import Stage

USES = 2  # steps on the same scenes, with other questions and other damage: drawing scenes is a third of a step


class Stream(IterableDataset[list[Batch]]):
    """Batches from loader processes; the mix follows the run's progress, which all processes share."""

    def __init__(
        self, chat: Chat, mixes: Sequence[Mix], capacity: Capacity, seed: int, depths: Depths, progress: Any
    ) -> None:
        self._chat, self._mixes, self._capacity = chat, mixes, capacity
        self._seed, self._depths, self._progress = seed, depths, progress

    def __iter__(self) -> Iterator[list[Batch]]:
        info = get_worker_info()
        torch.set_num_threads(1)
        seed = [self._seed, info.id if info else 0]
        batchers = [
            iter(Batcher(self._chat, mix, self._capacity, [*seed, at], self._depths, USES))
            for at, mix in enumerate(self._mixes)
        ]
        while True:
            moment = self._progress.value
            which = 0 if moment < SHORT_UNTIL else 1 if stage_at(moment) != Stage.PRUNED else 2
            yield next(batchers[which])
