"""Train nano-omni for a given time on one GPU, or on several of one host under torchrun.

    python -m nano_omni.training.loop --minutes 20 --out DIR --bank speech.npy
    torchrun --nproc-per-node 2 -m nano_omni.training.loop --minutes 20 --out DIR --bank speech.npy

The schedule follows the clock, so that a run always ends with its learning rate decayed: towers alone, then short streams,
then everything; the rate is constant to 45 % of the time and falls linearly to 2 % of itself.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing import Value
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset
from transformers import AutoTokenizer, Qwen2_5OmniThinkerForConditionalGeneration

from nano_omni import facts
from nano_omni.build import build, save
from nano_omni.training.augment import Damage, SpeechBank
from nano_omni.training.batch import DROP_GROUPS, Batch, Batcher, Capacity
from nano_omni.training.chat import Chat
from nano_omni.training.decoder import block_masks, dense_masks
from nano_omni.training.forward import Media, Thinker, compile_renderer, drop_groups, make_media, make_scene, visibility_of
from nano_omni.training.heads import TowerHeads
from nano_omni.training.exam import examine
from nano_omni.training.mix import Mix
from nano_omni.training.muon import Muon, split_parameters
from nano_omni.training.rows import condition_rows, main_rows
from nano_omni.training.tally import Tally

TOWERS_UNTIL, SHORT_UNTIL = 0.025, 0.08
CONSTANT_UNTIL, LAST_RATE = 0.45, 0.02
HEAD_WEIGHT = 0.25
USES = 2  # steps on the same scenes, with other questions and other damage: drawing scenes is a third of a step


@dataclass(frozen=True)
class Rates:
    """Peak learning rates."""

    muon: float = 0.02
    adam: float = 2e-3


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
        info = torch.utils.data.get_worker_info()
        torch.set_num_threads(1)
        seed = [self._seed, info.id if info else 0]
        short = replace(self._mix, windows=((4, 1.0),), turns=(1.0,), slots_per_window=4.0)
        batchers = [iter(Batcher(self._chat, mix, self._capacity, seed, USES)) for mix in (short, self._mix)]
        while True:
            yield next(batchers[self._progress.value >= SHORT_UNTIL])


class Trainer:
    """The model, its optimisers and one training step."""

    def __init__(self, model: nn.Module, hidden: int, device: torch.device, rates: Rates, *, flex: bool) -> None:
        config: Any = model.config
        layers = config.text_config.num_hidden_layers
        self.thinker = Thinker(model).to(device)
        self.heads = TowerHeads(hidden).to(device)
        self.device, self._rates = device, rates
        self.groups = drop_groups(layers, layers // 2, DROP_GROUPS)
        matrices, rest = split_parameters(self.thinker.model)
        rest = [*rest, *self.heads.parameters()]
        self._parameters = [*matrices, *rest]
        self._muon = Muon(matrices)
        self._adam = torch.optim.AdamW(rest, lr=rates.adam, betas=(0.9, 0.98), weight_decay=0.0, fused=device.type == "cuda")
        self._flex = flex

    def masks(self, batch: Batch) -> list[Any]:
        """One mask a layer; equal ones are the same object."""
        make = block_masks if self._flex else dense_masks
        kinds: list[int | None] = [None, *range(DROP_GROUPS)]
        made = dict(zip(kinds, make(visibility_of(batch), kinds), strict=True))
        return [made[group] for group in self.groups]

    def logits(self, batch: Batch, media: Media) -> tuple[Tensor, Any]:
        """Float32 logits at the labelled tokens, and the towers' features."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            features = self.thinker.encode(media, batch.anchors, batch.compressed)
            hidden = self.thinker.hidden(batch.rows, features, self.masks(batch))
            return self.thinker.logits(hidden, batch.labels).float(), features

    def step(self, batch: Batch, media: Media, share: float, *, towers_only: bool) -> tuple[Tensor, Tensor | None]:
        """One update at `share` of the peak rates; returns the loss and, unless only the towers learn, which labels were predicted right."""
        right = None
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            if towers_only:
                features = self.thinker.encode(media, batch.anchors, batch.compressed)
                loss: Tensor = self.heads(features, batch)
            else:
                logits, features = self.logits(batch, media)
                target = torch.where(batch.labels[:, 0] >= 0, batch.labels[:, 1], -100).long()
                loss = functional.cross_entropy(logits, target) + HEAD_WEIGHT * self.heads(features, batch)
                right = logits.detach().argmax(-1) == target
        loss.backward()
        self._update(share)
        return loss.detach(), right

    def _update(self, share: float) -> None:
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        if dist.is_initialized():
            flat = torch._utils._flatten_dense_tensors(gradients)
            dist.all_reduce(flat)
            flat /= dist.get_world_size()
            torch._foreach_copy_(gradients, torch._utils._unflatten_dense_tensors(flat, gradients))
        for group in self._adam.param_groups:
            group["lr"] = self._rates.adam * share
        torch.nn.utils.clip_grad_norm_(self._parameters, 2.0, foreach=True)
        self._adam.step()
        self._muon.step(self._rates.muon * share)
        for parameter in self._parameters:
            parameter.grad = None


def load(directory: Path, device: torch.device) -> tuple[Any, Any]:
    """Model (float32) and tokenizer of a checkpoint directory."""
    model = Qwen2_5OmniThinkerForConditionalGeneration.from_pretrained(directory, dtype=torch.float32)
    return model.to(device), AutoTokenizer.from_pretrained(directory)


def train(arguments: argparse.Namespace) -> None:
    """The whole run."""
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if arguments.compile_renderer:
        compile_renderer(device)
    if size > 1:
        dist.init_process_group("nccl" if cuda else "gloo")
    began = time.monotonic()
    start = arguments.resume or arguments.out / "start"
    if arguments.resume is None and rank == 0:
        build(start, seed=arguments.seed, tiny=arguments.tiny)
    if size > 1:
        dist.barrier()
    model, tokens = load(start, device)
    known = facts(start)
    chat = Chat.of(tokens, known.system_prompt)
    hidden = model.config.text_config.hidden_size
    trainer = Trainer(model, hidden, device, Rates(arguments.muon, arguments.adam), flex=cuda)
    if size > 1:
        for parameter in trainer.heads.parameters():
            dist.broadcast(parameter.data, 0)
    bank = None
    if arguments.bank:
        bank = SpeechBank(torch.from_numpy(np.load(arguments.bank)).to(device))
    capacity = Capacity(**json.loads(arguments.capacity)) if arguments.capacity else Capacity()
    mix = Mix(**json.loads(arguments.mix)) if arguments.mix else Mix()
    progress = Value("d", arguments.from_progress)
    stream = Stream(chat, mix, capacity, arguments.seed * 1_000 + rank, progress)
    loader = DataLoader(
        stream, batch_size=None, num_workers=arguments.workers, pin_memory=cuda, prefetch_factor=3 if arguments.workers else None
    )
    torch.manual_seed(arguments.seed + 7_919 * rank)
    log = (arguments.out / f"train{rank}.log").open("a", buffering=1)
    damage = Damage()
    tally, losses, waited, last = Tally(), [], 0.0, time.monotonic()
    budget = 60 * arguments.minutes
    saved = last
    pending: list[tuple[Batch, Tensor, Tensor]] = []
    moment = arguments.from_progress
    batches = iter(loader)
    dtype = torch.bfloat16 if cuda else torch.float32
    warm = next(batches)[0].to(device)
    media = make_media(warm, make_scene(warm), damage, bank, dtype)
    for towers_only in (True, False):  # at a rate of zero: compiles both kinds of step before the schedule begins
        trainer.step(warm, media, 0.0, towers_only=towers_only)
    if cuda:
        torch.cuda.synchronize()
    clock, step = time.monotonic(), 0
    queue: deque[Batch] = deque()
    scene = make_scene(warm)
    while moment < 1.0:
        if not queue:
            asked = time.monotonic()
            queue.extend(next(batches))
            waited += time.monotonic() - asked
            scene = make_scene(queue[0].to(device))
        batch = queue.popleft()
        on_device = batch.to(device)
        media = make_media(on_device, scene, damage, bank, dtype)
        share = rate_at(moment, arguments.from_progress)
        loss, right = trainer.step(on_device, media, share, towers_only=moment < TOWERS_UNTIL)
        losses.append(loss)
        step += 1
        if right is not None and step % 10 == 0:
            pending.append((batch, batch.labels, right))
        if step % 10 == 0:
            passed = torch.tensor([(time.monotonic() - clock) / (budget - (clock - began))], device=device)
            if size > 1:
                dist.broadcast(passed, 0)
            moment = arguments.from_progress + (1 - arguments.from_progress) * passed.item()
            progress.value = moment
        if step % arguments.log_every == 0:
            for kept, labels, flags in pending:
                tally.add(kept, labels.numpy(), flags.cpu().numpy())
            now = time.monotonic()
            good, n = tally.total
            line = {
                "step": step,
                "progress": round(moment, 4),
                "seconds": round(now - began, 1),
                "loss": round(torch.stack(losses).mean().item(), 4),
                "exact": round(good / max(n, 1), 4),
                "n": n,
                "ms": round(1e3 * (now - last) / arguments.log_every, 1),
                "waited_ms": round(1e3 * waited / arguments.log_every, 1),
            }
            if cuda:
                line["GiB"] = round(torch.cuda.max_memory_allocated() / 2**30, 1)
            if step % (arguments.log_every * 10) == 0:
                line["by"] = tally.table()
            print(json.dumps(line), file=log)
            tally, losses, waited, last, pending = Tally(), [], 0.0, now, []
        if rank == 0 and time.monotonic() - saved > arguments.save_every:
            save(model, tokens, arguments.out / "latest", known)
            saved = time.monotonic()
        if step == arguments.steps:
            break
    if rank == 0:
        save(model, tokens, arguments.out / "final", known)
    if arguments.exam_batches:
        rows = [*main_rows(), *condition_rows()][rank::size]
        results = examine(
            trainer, chat, rows, batches=arguments.exam_batches, capacity=capacity, bank=bank, workers=arguments.workers
        )
        (arguments.out / f"exam{rank}.json").write_text(json.dumps(results, indent=1))
    if rank == 0:
        print(json.dumps({"done": True, "steps": step, "seconds": round(time.monotonic() - began, 1)}), file=log)
    if size > 1:
        dist.barrier()
        dist.destroy_process_group()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, required=True, help="wall-clock time of the whole run, compilation included")
    parser.add_argument("--out", type=Path, required=True, help="directory of checkpoints and logs")
    parser.add_argument("--bank", type=Path, help="speech bank made by nano_omni.training.speech_bank")
    parser.add_argument("--resume", type=Path, help="checkpoint to start from instead of fresh weights")
    parser.add_argument("--from-progress", type=float, default=0.0, help="where in the schedule to start, in [0, 1)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=0, help="stop after so many steps, whatever the clock says")
    parser.add_argument("--workers", type=int, default=12, help="loader processes for each GPU")
    parser.add_argument("--muon", type=float, default=Rates.muon)
    parser.add_argument("--adam", type=float, default=Rates.adam)
    parser.add_argument("--mix", default="", help="JSON of the fields of Mix that differ")
    parser.add_argument("--capacity", default="", help="JSON of the fields of Capacity that differ")
    parser.add_argument("--compile-renderer", action="store_true")
    parser.add_argument("--exam-batches", type=int, default=0, help="batches for each row of the evaluation after training")
    parser.add_argument("--log-every", type=int, default=50)
    parser.add_argument("--save-every", type=float, default=120.0, help="seconds between checkpoints")
    parser.add_argument("--tiny", action="store_true", help="the four-layer model, for a smoke run on a CPU")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    train(arguments)


if __name__ == "__main__":
    main()
