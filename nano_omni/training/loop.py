"""Train nano-omni for a given time on one GPU, or on several of one host under torchrun.

    python -m nano_omni.training.loop --minutes 20 --out DIR --bank speech.npy
    torchrun --nproc-per-node 2 -m nano_omni.training.loop --minutes 20 --out DIR --bank speech.npy

The schedule follows the clock, so that a run always ends with its learning rate decayed: towers alone, then short
streams, then everything; the rate is constant to 45 % of the time and falls linearly to 2 % of itself.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing import Value
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from nano_omni import NanoFacts, facts
from nano_omni.build import build, save
from nano_omni.training.augment import Damage, SpeechBank
from nano_omni.training.batch import Batch, Batcher, Capacity
from nano_omni.training.chat import Chat
from nano_omni.training.exam import examine
from nano_omni.training.forward import Media, compile_renderer, make_media, make_scene
from nano_omni.training.mix import Mix
from nano_omni.training.rows import condition_rows, main_rows
from nano_omni.training.tally import Tally
from nano_omni.training.trainer import Rates, Trainer, load

TOWERS_UNTIL, SHORT_UNTIL = 0.025, 0.08
CONSTANT_UNTIL, LAST_RATE = 0.45, 0.02
USES = 2  # steps on the same scenes, with other questions and other damage: drawing scenes is a third of a step
CLOCK_EVERY = 10  # steps; the processes agree on the time


def rate_at(progress: float, start: float = 0.0) -> float:
    """Share of the peak rate at `progress` in [0, 1] of the schedule, when the run began at `start`."""
    warm = min(1.0, 0.1 + (progress - start) / 0.01)
    fall = (progress - CONSTANT_UNTIL) / (1 - CONSTANT_UNTIL)
    return warm * (1.0 if fall < 0 else 1 - (1 - LAST_RATE) * min(1.0, fall))


class Stream(IterableDataset[list[Batch]]):
    """Batches from loader processes; the mix follows the run's progress, which all processes share."""

    def __init__(self, chat: Chat, mix: Mix, capacity: Capacity, seed: int, progress: Any) -> None:
        self._chat, self._mix, self._capacity, self._seed, self._progress = chat, mix, capacity, seed, progress

    def __iter__(self) -> Iterator[list[Batch]]:
        info = get_worker_info()
        torch.set_num_threads(1)
        seed = [self._seed, info.id if info else 0]
        short = replace(self._mix, windows=((4, 1.0),), turns=(1.0,), slots_per_window=4.0)
        batchers = [iter(Batcher(self._chat, mix, self._capacity, seed, USES)) for mix in (short, self._mix)]
        while True:
            yield next(batchers[self._progress.value >= SHORT_UNTIL])


@dataclass
class Log:
    """One JSON line every `every` steps; exact answers are counted on the training batches, never repeated."""

    path: Path
    every: int
    began: float
    losses: list[Tensor] = field(default_factory=list)
    pending: list[tuple[Batch, Tensor]] = field(default_factory=list)
    waited: float = 0.0
    last: float = field(default_factory=time.monotonic)

    def add(self, step: int, moment: float, batch: Batch, loss: Tensor, right: Tensor | None) -> None:
        """Note one step; nothing is fetched from the device until a line is due."""
        self.losses.append(loss)
        if right is not None and step % CLOCK_EVERY == 0:
            self.pending.append((batch, right))
        if step % self.every == 0:
            self._write(step, moment)

    def _write(self, step: int, moment: float) -> None:
        tally = Tally()
        for batch, right in self.pending:
            tally.add(batch, batch.labels.numpy(), right.cpu().numpy())
        good, count = tally.total
        now = time.monotonic()
        line = {
            "step": step,
            "progress": round(moment, 4),
            "seconds": round(now - self.began, 1),
            "loss": round(torch.stack(self.losses).mean().item(), 4),
            "exact": round(good / max(count, 1), 4),
            "n": count,
            "ms": round(1e3 * (now - self.last) / self.every, 1),
            "waited_ms": round(1e3 * self.waited / self.every, 1),
            "by_category": tally.table(),
        }
        with self.path.open("a") as file:
            print(json.dumps(line), file=file)
        self.losses, self.pending, self.waited, self.last = [], [], 0.0, now


class Run:
    """One process of a training run.

    Args:
        arguments: the command line.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments, self.began = arguments, time.monotonic()
        self.rank, self.size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        cuda = torch.cuda.is_available()
        self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
        self.dtype = torch.bfloat16 if cuda else torch.float32
        if cuda:
            torch.cuda.set_device(self.device)
            compile_renderer(self.device)
        if self.size > 1:
            dist.init_process_group("nccl" if cuda else "gloo")
        start = self._start()
        self.model, self.tokenizer = load(start, self.device)
        self.facts: NanoFacts = facts(start)
        self.chat = Chat.of(self.tokenizer, self.facts.system_prompt)
        self.trainer = Trainer(self.model, self.device, Rates(arguments.muon, arguments.adam), flex=cuda)
        self.trainer.share_weights()
        bank = torch.from_numpy(np.load(arguments.bank)).to(self.device) if arguments.bank else None
        self.bank = None if bank is None else SpeechBank(bank)
        self.capacity = Capacity(**json.loads(arguments.capacity))
        self.damage = Damage()
        torch.manual_seed(arguments.seed + 7_919 * self.rank)

    def _start(self) -> Path:
        """Directory of the weights to begin with; fresh ones are made by the first process."""
        if self.arguments.resume is not None:
            given: Path = self.arguments.resume
            return given
        start: Path = self.arguments.out / "start"
        if self.rank == 0:
            build(start, seed=self.arguments.seed, tiny=self.arguments.tiny)
        if self.size > 1:
            dist.barrier()
        return start

    def train(self) -> None:
        """Train until the time is up, save, and sit the exam."""
        arguments = self.arguments
        start = moment = arguments.from_progress
        progress = Value("d", moment)
        mix = Mix(**json.loads(arguments.mix))
        stream = Stream(self.chat, mix, self.capacity, arguments.seed * 1_000 + self.rank, progress)
        ahead = 3 if arguments.workers else None
        cuda = self.device.type == "cuda"
        loader = DataLoader(
            stream, batch_size=None, num_workers=arguments.workers, pin_memory=cuda, prefetch_factor=ahead
        )
        batches, queue = iter(loader), deque[Batch]()
        self._warm_up(next(batches)[0].to(self.device))
        log = Log(arguments.out / f"train{self.rank}.log", arguments.log_every, self.began)
        clock, step, saved = time.monotonic(), 0, time.monotonic()
        length = 60 * arguments.minutes - (clock - self.began)
        while moment < 1.0 and step != (arguments.steps or -1):
            if not queue:
                asked = time.monotonic()
                queue.extend(next(batches))
                log.waited += time.monotonic() - asked
                scene = make_scene(queue[0].to(self.device))
            batch = queue.popleft()
            here = batch.to(self.device)
            share = rate_at(moment, start)
            towers_only = moment < TOWERS_UNTIL
            loss, right = self.trainer.step(here, self._media(here, scene), share, towers_only=towers_only)
            step += 1
            log.add(step, moment, batch, loss, right)
            if step % CLOCK_EVERY == 0:
                moment = start + (1 - start) * self._agreed((time.monotonic() - clock) / length)
                progress.value = moment
            if time.monotonic() - saved > arguments.save_every:
                self._save("latest")
                saved = time.monotonic()
        self._save("final")
        self._exam()
        if self.size > 1:
            dist.barrier()
            dist.destroy_process_group()

    def _media(self, batch: Batch, scene: tuple[Tensor, Tensor]) -> Media:
        return make_media(batch, scene, self.damage, self.bank, self.dtype)

    def _warm_up(self, batch: Batch) -> None:
        """Both kinds of step at a rate of zero, which compiles them before the schedule's clock starts."""
        media = self._media(batch, make_scene(batch))
        for towers_only in (True, False):
            self.trainer.step(batch, media, 0.0, towers_only=towers_only)
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def _agreed(self, value: float) -> float:
        """The first process's value."""
        shared = torch.tensor([value], device=self.device)
        if self.size > 1:
            dist.broadcast(shared, 0)
        return shared.item()

    def _save(self, name: str) -> None:
        if self.rank == 0:
            save(self.model, self.tokenizer, self.arguments.out / name, self.facts)

    def _exam(self) -> None:
        """Each process scores its share of the evaluation rows."""
        if self.arguments.exam_batches:
            rows = [*main_rows(), *condition_rows()][self.rank :: self.size]
            batches, workers = self.arguments.exam_batches, self.arguments.workers
            results = examine(
                self.trainer, self.chat, rows, batches=batches, capacity=self.capacity, bank=self.bank, workers=workers
            )
            (self.arguments.out / f"exam{self.rank}.json").write_text(json.dumps(results, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, required=True, help="length of the run, compilation included")
    parser.add_argument("--out", type=Path, required=True, help="directory of checkpoints and logs")
    parser.add_argument("--bank", type=Path, help="speech bank made by nano_omni.training.speech_bank")
    parser.add_argument("--resume", type=Path, help="checkpoint to start from instead of fresh weights")
    parser.add_argument("--from-progress", type=float, default=0.0, help="where in the schedule to start, in [0, 1)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=0, help="stop after so many steps, whatever the clock says")
    parser.add_argument("--workers", type=int, default=12, help="loader processes for each GPU")
    parser.add_argument("--muon", type=float, default=Rates.muon)
    parser.add_argument("--adam", type=float, default=Rates.adam)
    parser.add_argument("--mix", default="{}", help="JSON of the fields of Mix that differ")
    parser.add_argument("--capacity", default="{}", help="JSON of the fields of Capacity that differ")
    parser.add_argument("--exam-batches", type=int, default=0, help="batches a row of the evaluation after training")
    parser.add_argument("--log-every", type=int, default=50)
    parser.add_argument("--save-every", type=float, default=60.0, help="seconds between checkpoints")
    parser.add_argument("--tiny", action="store_true", help="the four-layer model, for a smoke run on a CPU")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    Run(arguments).train()


if __name__ == "__main__":
    main()
