"""Train nano-omni for a given time on one GPU, or on several of one host under torchrun.

    torchrun --nproc-per-node 2 -m nano_omni.training.loop --minutes 16 --out DIR --bank speech.npy --exam-batches 2

The schedule follows the clock, so that a run always ends with its learning rate decayed:

1. the towers alone, under throw-away heads that ask every token what itself covers (`--plan` may leave this out);
2. everything, on streams of which nothing is missing: short ones, then all lengths. Ends in the checkpoint `whole`,
   which has never seen a token dropped;
3. the decoder alone, on what policies and full stores leave of streams, while the towers stay as they are: an encoder
   that learnt through drops would spread every object over all tokens, so that none is ever missed. Ends in `final`.

Checkpoints for transformers are DIR/whole, DIR/latest and DIR/final; DIR/state.pt holds optimisers as well, and
`--resume-state` goes on from it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, _dynamo
from torch.multiprocessing import Value
from torch.utils.data import DataLoader

from nano_omni import NanoFacts, facts
from nano_omni.build import build, save
from nano_omni.training.augment import Damage, SpeechBank
from nano_omni.training.batch import Batch, Capacity
from nano_omni.training.chat import Chat
from nano_omni.training.exam import as_table, examine
from nano_omni.training.forward import Media, compile_renderer, make_media, make_scene
from nano_omni.training.log import Log
from nano_omni.training.mix import pruned_streams, whole_streams
from nano_omni.training.plan import Plan
from nano_omni.training.rows import Row, all_rows
from nano_omni.training.stream import Stream
from nano_omni.training.trainer import Rates, Stage, Trainer, load
from nano_omni.training.watch import Watch

CLOCK_EVERY = 10  # steps; the processes agree on the time
RECOMPILATIONS = 32  # of one function: three stages, with and without gradients, windows and whole pictures


class Run:
    """One process of a training run.

    Args:
        arguments: the command line.
        clock: seconds that pass.
        rows: of the exam.
        every: steps after which the time is looked at.
    """

    def __init__(
        self,
        arguments: argparse.Namespace,
        clock: Callable[[], float] = time.monotonic,
        rows: Sequence[Row] | None = None,
        every: int = CLOCK_EVERY,
    ) -> None:
        self.arguments, self.clock, self.began = arguments, clock, clock()
        self.rows, self.every = all_rows() if rows is None else rows, every
        self.rank, self.size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        cuda = torch.cuda.is_available()
        self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
        self.dtype = torch.bfloat16 if cuda else torch.float32
        if cuda:
            torch.cuda.set_device(self.device)
            compile_renderer(self.device)
            _dynamo.config.recompile_limit = RECOMPILATIONS
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # every tensor that a loader hands over is a file
        if self.size > 1:
            dist.init_process_group("nccl" if cuda else "gloo")
        start = self._start()
        self.model, self.tokenizer = load(start, self.device)
        self.facts: NanoFacts = facts(start)
        self.chat = Chat.of(self.tokenizer, self.facts.system_prompt)
        self.trainer = Trainer(self.model, self.device, Rates(arguments.muon, arguments.adam), flex=cuda)
        self.moment = float(arguments.from_progress)
        self._resume_state()
        self.plan = Plan(**{**json.loads(arguments.plan), "start": self.moment})
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
        self._wait()
        return start

    def _resume_state(self) -> None:
        if self.arguments.resume_state is not None:
            state = torch.load(self.arguments.resume_state, map_location="cpu", weights_only=True)
            self.trainer.restore(state)
            self.moment = float(state["progress"])

    def train(self) -> None:
        """Train until the time is up, save, and sit the exam."""
        arguments, cuda = self.arguments, self.device.type == "cuda"
        plan, progress = self.plan, Value("d", self.moment)
        loader = DataLoader(
            self._stream(progress),
            batch_size=None,
            num_workers=arguments.workers,
            pin_memory=cuda,
            prefetch_factor=3 if arguments.workers else None,
        )
        batches, queue = iter(loader), deque[Batch]()
        self._warm_up(next(batches)[0].to(self.device))
        log = Log(arguments.out / f"train{self.rank}.log", arguments.log_every, self.began, clock=self.clock)
        watch = Watch(arguments.out, 0 if self.rank else arguments.profile_after)
        begun = saved = self.clock()
        step, length = 0, 60 * arguments.minutes - (begun - self.began)
        while self.moment < 1.0 and step != (arguments.steps or -1):
            stage = plan.stage_at(self.moment)
            if stage == Stage.PRUNED and not self.trainer.frozen:
                self._save("whole")
                self.trainer.freeze_towers()
            watch.before(stage)
            if not queue:
                asked = self.clock()
                queue.extend(next(batches))
                log.waited += self.clock() - asked
                scene = make_scene(queue[0].to(self.device))
            batch = queue.popleft()
            here = batch.to(self.device)
            loss, right = self.trainer.step(here, self._media(here, scene), plan.rate_at(self.moment), stage)
            step += 1
            log.add(step, self.moment, stage, batch, loss, right)
            if step % self.every == 0:
                self.moment = plan.start + (1 - plan.start) * self._agreed((self.clock() - begun) / length)
                progress.value = self.moment
            if self.clock() - saved > arguments.save_every:
                self._save("latest", state=True)
                saved = self.clock()
        self._save("final", state=True)

    def _stream(self, progress: Any) -> Stream:
        """Batches of the three mixes, all changed by what the command line says of them."""
        changes = json.loads(self.arguments.mix)
        whole, pruned = (replace(mix, **changes) for mix in (whole_streams(), pruned_streams()))
        short = replace(whole, windows=((4, 1.0),), turns=(1.0,), slots_per_window=4.0)
        mixes = short, whole, pruned
        seed, depths = self.arguments.seed, self.trainer.depths
        return Stream(self.chat, mixes, self.plan, self.capacity, seed, self.rank, depths, progress)

    def _media(self, batch: Batch, scene: tuple[Tensor, Tensor]) -> Media:
        return make_media(batch, scene, self.damage, self.bank, self.dtype)

    def _warm_up(self, batch: Batch) -> None:
        """All kinds of step at a rate of zero, which compiles them before the schedule's clock starts."""
        media = self._media(batch, make_scene(batch))
        for stage in Stage:
            if stage >= self.plan.stage_at(self.moment):
                self.trainer.step(batch, media, 0.0, stage)
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def _agreed(self, value: float) -> float:
        """The first process's value."""
        shared = torch.tensor([value], device=self.device)
        if self.size > 1:
            dist.broadcast(shared, 0)
        return shared.item()

    def _wait(self) -> None:
        if self.size > 1:
            dist.barrier()

    def _save(self, name: str, *, state: bool = False) -> None:
        """Write a checkpoint, and the optimisers' state where asked to; whoever reads it finds it whole."""
        if self.rank != 0:
            return
        out: Path = self.arguments.out
        save(self.model, self.tokenizer, out / f"{name}.part", self.facts)
        shutil.rmtree(out / name, ignore_errors=True)
        (out / f"{name}.part").replace(out / name)
        if state:
            torch.save({**self.trainer.state(), "progress": min(self.moment, 1.0)}, out / "state.part")
            (out / "state.part").replace(out / "state.pt")

    def examine(self) -> None:
        """Each process scores its share of the evaluation rows; the first one writes and prints them all."""
        if not self.arguments.exam_batches:
            return
        for name in ("final", "whole"):
            directory = self.arguments.out / name
            self._wait()
            if self.arguments.exam_only and name == "final":
                directory = self.arguments.resume
            elif not directory.exists() or self.arguments.exam_only:
                continue
            self._adopt(directory)
            self._examine(name)

    def _adopt(self, directory: Path) -> None:
        """Take the weights of a checkpoint."""
        other, _ = load(directory, self.device)
        with torch.no_grad():
            for mine, theirs in zip(self.model.parameters(), other.parameters(), strict=True):
                mine.copy_(theirs)

    def _examine(self, name: str) -> None:
        out, rows = self.arguments.out, self.rows
        results = examine(
            self.trainer, self.chat, rows[self.rank :: self.size], batches=self.arguments.exam_batches,
            capacity=self.capacity, bank=self.bank, workers=self.arguments.workers,
        )  # fmt: skip
        (out / f"exam-{name}-{self.rank}.json").write_text(json.dumps(results))
        self._wait()
        if self.rank == 0:
            parts = [json.loads((out / f"exam-{name}-{rank}.json").read_text()) for rank in range(self.size)]
            every = {result["row"]: result for part in parts for result in part}
            ordered = [every[row.name] for row in rows]
            (out / f"exam-{name}.json").write_text(json.dumps(ordered, indent=1) + "\n")
            print(f"{name}\n{as_table(ordered)}", flush=True)

    def close(self) -> None:
        """Leave the process group."""
        if self.size > 1:
            dist.barrier()
            dist.destroy_process_group()


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--minutes", type=float, required=True, help="length of the training, compilation included")
    made.add_argument("--out", type=Path, required=True, help="directory of checkpoints and logs")
    made.add_argument("--bank", type=Path, help="speech bank made by nano_omni.training.speech_bank")
    made.add_argument("--resume", type=Path, help="checkpoint to start from instead of fresh weights")
    made.add_argument("--resume-state", type=Path, help="state.pt of an interrupted run: optimisers and progress")
    made.add_argument("--from-progress", type=float, default=0.0, help="where in the schedule to start, in [0, 1)")
    made.add_argument("--plan", default="{}", help="JSON of the moments of Plan that differ")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--steps", type=int, default=0, help="stop after so many steps, whatever the clock says")
    made.add_argument("--workers", type=int, default=12, help="loader processes for each GPU")
    made.add_argument("--muon", type=float, default=Rates.muon)
    made.add_argument("--adam", type=float, default=Rates.adam)
    made.add_argument("--mix", default="{}", help="JSON of the fields of Mix that differ, in all parts")
    made.add_argument("--capacity", default="{}", help="JSON of the fields of Capacity that differ")
    made.add_argument("--exam-batches", type=int, default=0, help="batches a row of the evaluation after training")
    made.add_argument("--exam-only", action="store_true", help="sit the exam with the weights of --resume")
    made.add_argument("--profile-after", type=int, default=0, help="profile two steps after so many of each stage")
    made.add_argument("--log-every", type=int, default=50)
    made.add_argument("--save-every", type=float, default=110.0, help="seconds between checkpoints")
    made.add_argument("--tiny", action="store_true", help="the four-layer model, for a smoke run on a CPU")
    return made


def main() -> None:
    chosen = parser().parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    run = Run(chosen)
    if not chosen.exam_only:
        run.train()
    run.examine()
    run.close()


if __name__ == "__main__":
    main()
