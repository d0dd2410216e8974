"""Measure nano-omni: exact match on held-out scenes, through transformers' own decoder.

    python -m nano_omni.evaluate --windows 4 8 16 --streams 16 --seed 0 [--compressed] [--damaged] [--live] [--device
    cpu]

Each question is put alone at the end of its conversation and answered greedily over transformers' key/value cache,
or, with `--live`, by the pruner as the service does it (fuse window by window, guide, decode). Prints a table and one
JSON line. Streams come from seeds 8,000,000 to 8,999,999, which training never sees.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nano_omni import facts, weights_dir
from nano_omni.training.augment import CLEAN, RATE, Damage, damage_audio, damage_video
from nano_omni.training.batch import BLOCK, Batch, Batcher, Capacity, build_layout
from nano_omni.training.chat import Chat
from nano_omni.training.forward import Features, Thinker, preprocess
from nano_omni.training.layout import NO_LABEL, Column
from nano_omni.training.mix import Asked, Mix, StreamPlan, draw_script, draw_stream
from nano_omni.training.rows import main_rows
from nano_omni.training.sight import Depths
from nano_omni.training.trainer import load
from nano_omni.world.render import render
from nano_omni.world.sound import synthesise
from pruner.live import Ask, LiveModel
from pruner.options import TurnOptions
from pruner.windows import RawWindow

_BUDGET = 1_000_000  # audiovisual tokens: nothing is ever evicted here


class Examiner:
    """Answers the questions of one stream at a time.

    Args:
        weights: checkpoint directory.
        device: where to compute.
        damage: what happens to pictures and sound on their way.
    """

    def __init__(self, weights: Path, device: torch.device, damage: Damage) -> None:
        self.device, self._damage = device, damage
        self.model, self.tokenizer = load(weights, device)
        self.facts = facts(weights)
        self.chat = Chat.of(self.tokenizer, self.facts.system_prompt)
        # transformers' wrapper of fused attention is wrong when several rows meet a longer cache; the plain one is not.
        self.model.set_attn_implementation("eager")
        self.thinker = Thinker(self.model.eval())

    def media(self, plan: StreamPlan, batch: Batch) -> tuple[Tensor, Tensor]:
        """Damaged frames uint8 [1, F, 168, 168, 3] and samples float32 [1, N] of the stream."""
        frames = damage_video(render(batch.scripts, self.device), self._damage)
        quietest = min((sound.level for sound in plan.script.sounds), default=1.0)
        samples = synthesise(batch.scripts, self.device)
        return frames, damage_audio(samples, torch.tensor([quietest], device=self.device), self._damage, None)

    def pack(self, plan: StreamPlan) -> Batch:
        """The stream with all its questions."""
        room = 65_536
        layout = build_layout(self.chat, plan, room)
        seconds, layers = plan.shape.seconds, self.model.config.text_config.num_hidden_layers
        tokens = -(-len(layout.rows) // BLOCK) * BLOCK
        capacity = Capacity(seconds, seconds, seconds + 8, tokens, len(layout.rows), room)
        depths = Depths(layers, self.facts.fusion_depth)
        return Batcher(self.chat, Mix(), capacity, 0, depths).assemble([plan])

    @torch.no_grad()
    def answers(self, plan: StreamPlan) -> list[tuple[Asked, str]]:
        """Every question of the plan with the answer greedy decoding gives."""
        batch = self.pack(plan).to(self.device)
        media = preprocess(batch, *self.media(plan, batch), torch.float32)
        features = self.thinker.encode(media, batch.anchors, batch.compressed)
        found: list[tuple[Asked, str]] = []
        prefixes: dict[int, Any] = {}
        for first, last, asked in batch.slots:
            assert isinstance(asked, Asked)
            rows = batch.rows[first:last]
            prompt = rows[: int((rows[:, Column.LABEL] == NO_LABEL).sum()) + 1]
            limit = int(rows[0, Column.LIMIT])
            if limit not in prefixes:
                prefixes[limit] = self._forward(*self.thinker.embed(batch.rows[:limit], features), None).past_key_values
            found.append((asked, self._decode(prompt, features, deepcopy(prefixes[limit]))))
        return found

    def _forward(self, embeds: Tensor, positions: Tensor, cache: Any) -> Any:
        """transformers' forward of rows [n, hidden] at positions [3, n] after those in `cache`."""
        return self.model(
            inputs_embeds=embeds[None], position_ids=positions[:, None], past_key_values=cache, use_cache=True
        )

    def _decode(self, prompt: Tensor, features: Features, cache: Any) -> str:
        """Greedy answer to the rows of a question, after the conversation in `cache`."""
        embeds, positions = self.thinker.embed(prompt, features)
        ids: list[int] = []
        while len(ids) < self.facts.max_answer_tokens:
            out = self._forward(embeds, positions, cache)
            cache, token = out.past_key_values, int(out.logits[0, -1].argmax())
            if token == self.chat.im_end:
                break
            ids.append(token)
            embeds, positions = self.thinker.text.embed_tokens.weight[token][None], positions[:, -1:] + 1
        text: str = self.tokenizer.decode(ids)
        return text


class LiveExaminer(Examiner):
    """Answers through the pruner: fused window by window, guided by the question."""

    def __init__(self, weights: Path, device: torch.device, damage: Damage, options: TurnOptions) -> None:
        super().__init__(weights, device, damage)
        self._live, self._options = LiveModel.load(weights, device=str(device)), options

    @torch.no_grad()
    def answers(self, plan: StreamPlan) -> list[tuple[Asked, str]]:
        """As `Examiner.answers`; the stream is fused once, and each question leaves no trace in it."""
        batch = self.pack(plan)
        frames, samples = (part[0].cpu().numpy() for part in self.media(plan, batch))
        conversation, heard, found = self._live.open(budget=_BUDGET), 0, []
        for asked in sorted(plan.slots, key=lambda slot: slot.cut):
            for start in range(heard, asked.cut, 2):
                end = min(start + 2, asked.cut)
                window = RawWindow(float(start), frames[2 * start : 2 * end], samples[start * RATE : end * RATE])
                (encoded,) = self._live.encode([(conversation, window)])
                self._live.fuse([(conversation, encoded)])
            heard = asked.cut
            (turn,) = self._live.guide([Ask(conversation, asked.text, self._options)])
            text, done = "", False
            while not done:
                (step,) = self._live.step([turn])
                text, done = text + step.text, step.done
            self._live.commit(turn, published=0)  # as if nothing had been said: every question is the first
            found.append((asked, text))
        conversation.close()
        return found


def plans(mix: Mix, windows: int, streams: int, seed: int) -> list[StreamPlan]:
    """`streams` held-out streams of `windows` windows with their questions, asked at the end."""
    random = np.random.default_rng(seed)
    return [draw_stream(mix, draw_script(mix, windows, random), random) for _ in range(streams)]


def score(examiner: Examiner, chosen: Sequence[StreamPlan]) -> dict[str, list[int]]:
    """Exact answers and questions by category."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for plan in chosen:
        for asked, answer in examiner.answers(plan):
            counts[asked.category][0] += answer == asked.answer
            counts[asked.category][1] += 1
    return dict(counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument("--streams", type=int, default=16, help="streams for each number of windows")
    parser.add_argument("--questions", type=int, default=24, help="questions a stream")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path, default=weights_dir())
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--compressed", action="store_true", help="with the intra-modality compression the service uses"
    )
    parser.add_argument("--damaged", action="store_true", help="with the training's mix of live conditions (no speech)")
    parser.add_argument("--live", action="store_true", help="through the pruner")
    parser.add_argument("--deep-share", type=float, default=0.3, help="with --live: share of tokens in the deep half")
    arguments = parser.parse_args()
    device, damage = torch.device(arguments.device), Damage() if arguments.damaged else CLEAN
    if arguments.live:
        examiner: Examiner = LiveExaminer(
            arguments.weights, device, damage, TurnOptions(deep_share=arguments.deep_share)
        )
    else:
        examiner = Examiner(arguments.weights, device, damage)
    torch.manual_seed(arguments.seed)
    mix = replace(main_rows()[0].mix, fewest_slots=arguments.questions, slots_per_window=0.0)
    mix = replace(mix, compressed=float(arguments.compressed or arguments.live))
    result: dict[str, Any] = {"bench": "nano", "seed": arguments.seed, "rows": []}
    for windows in arguments.windows:
        counts = score(examiner, plans(mix, windows, arguments.streams, arguments.seed))
        good, total = (sum(pair[i] for pair in counts.values()) for i in (0, 1))
        by = {name: round(pair[0] / pair[1], 4) for name, pair in sorted(counts.items())}
        result["rows"].append(
            {"windows": windows, "n": total, "exact": round(good / max(total, 1), 4), "by_category": by}
        )
        print(f"{windows:3d} windows  {total:5d} questions  {100 * good / max(total, 1):6.2f} % exact")
        for name, (right, count) in sorted(counts.items()):
            print(f"    {name:16s} {right:5d} / {count:<5d} {100 * right / count:6.1f} %")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
