"""Batches of a run from loader processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from nano_omni.training.batch import Batch, Batcher, Capacity
from nano_omni.training.chat import Chat
from nano_omni.training.mix import Mix
from nano_omni.training.plan import Plan
from nano_omni.training.sight import Depths
from nano_omni.training.trainer import Stage

USES = 2  # steps on the same scenes, with other questions and other damage: drawing scenes is a third of a step


class Stream(IterableDataset[list[Batch]]):
    """Batches from loader processes; the mix follows the run's progress, which all processes share.

    Args:
        chat, capacity, depths: of the batches.
        mixes: of the short streams, of those of which nothing is missing, of those that lost something.
        plan: when which is due.
        seed: of the run. Streams of one step are of one length in all its processes: the longest take several times
            as long as the shortest, and all would wait for whoever drew them.
        rank: of this process in the run, whose streams are its own.
        progress: of the run, a shared number.
    """

    def __init__(
        self, chat: Chat, mixes: Sequence[Mix], plan: Plan, capacity: Capacity, seed: int, rank: int, depths: Depths,
        progress: Any,
    ) -> None:  # fmt: skip
        self._chat, self._mixes, self._plan, self._capacity = chat, mixes, plan, capacity
        self._seed, self._rank, self._depths, self._progress = seed, rank, depths, progress

    def __iter__(self) -> Iterator[list[Batch]]:
        info = get_worker_info()
        worker = info.id if info else 0
        torch.set_num_threads(1)
        seed = [self._seed, self._rank, worker]
        batchers = [
            Batcher(self._chat, mix, self._capacity, [*seed, at], self._depths, USES)
            for at, mix in enumerate(self._mixes)
        ]
        for turn in count():
            moment = self._progress.value
            which = 0 if moment < self._plan.short else 1 if self._plan.stage_at(moment) != Stage.PRUNED else 2
            yield batchers[which].draw(np.random.default_rng([self._seed, worker, turn]))
