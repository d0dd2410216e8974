"""Once it is asked: the live form, and the one-shot form, against transformers' stock encoders and full prefill."""

from __future__ import annotations

from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.speed.bench import QUESTION, WINDOWS, Bench, Row
from pruner import Conversation, ScheduleError
from pruner.families.frames import fit, patchify
from pruner.families.mel import log_mel
from pruner.families.qwen2_5_omni import part
from pruner.oneshot import Decoding, assemble
from pruner.policies import Everything, OmniDrop

NAME = "cold"


def rows(bench: Bench) -> list[Row]:
    """All at the minute: 30 windows, one question."""
    cold = Cold(bench)
    encode = bench.typical_ms(cold.encode)
    prefill = bench.typical_ms(cold.prefill)
    step = bench.typical_ms(cold.step)
    conversation = bench.model.open(budget=cold.prompted.raw)
    bench.feed(conversation, WINDOWS)
    live = bench.typical_first_token(conversation)
    ours = median(_second_token(bench, conversation) for _ in range(bench.repeats))
    conversation.close()
    one_shot, retention = _one_shot(bench)
    times = {"encode_ms": live.encode, "fuse_ms": live.fuse, "guide_ms": live.guide, "first_step_ms": live.step}
    theirs = {"stock_encoders_ms": encode, "stock_prefill_ms": prefill}
    whole = encode + prefill
    return [
        Row("live, last patch included ÷ cold", live.total / whole, target=0.1, parts=times | theirs),
        Row("live, guide and first step ÷ cold", (live.guide + live.step) / whole, target=0.05),
        Row(
            "one-shot OmniDrop ÷ full prefill, decoder only",
            one_shot / prefill,
            target=0.36,
            parts={"one_shot_ms": one_shot, "stock_prefill_ms": prefill, "retention": retention},
        ),
        Row("decode step ÷ stock step", ours / step, target=0.4, parts={"step_ms": ours, "stock_step_ms": step}),
    ]


class Cold:
    """transformers' own modules on the minute, asked cold.

    Attributes:
        prompted: the whole sequence, nothing pruned.
    """

    def __init__(self, bench: Bench) -> None:
        model = bench.model.model
        self.prompted = assemble(model, bench.encoded, Everything().compress(bench.encoded), QUESTION)
        self._thinker: Any = model.thinker
        self._text: Any = getattr(self._thinker.model, "language_model", self._thinker.model)
        stack, facts = model.stack, model.facts
        frames = torch.from_numpy(np.concatenate([one.frames for one in bench.raw if one.frames is not None]))
        fitted = fit(frames.to(stack.device), facts.height, facts.width)
        self._patches = patchify(fitted[None], dtype=stack.dtype)
        self._grid = torch.tensor([[len(frames) // 2, 2 * facts.rows, 2 * facts.columns]], device=stack.device)
        samples = torch.from_numpy(np.concatenate([one.samples for one in bench.raw if one.samples is not None]))
        quiet = torch.tensor([-10.0], device=stack.device)
        mel, _ = log_mel(samples[None].to(stack.device), None, quiet, bins=model.audio.bins)
        self._mel = mel[0].to(stack.dtype)
        self._cache: Any = None

    @torch.inference_mode()
    def encode(self) -> None:
        """Both towers over the whole minute."""
        part(self._thinker, "visual")(self._patches, grid_thw=self._grid)
        lengths = torch.tensor([self._mel.shape[1]], device=self._mel.device)
        part(self._thinker, "audio_tower")(self._mel, feature_lens=lengths, aftercnn_lens=(lengths - 1) // 2 + 1)

    @torch.inference_mode()
    def prefill(self) -> torch.Tensor:
        """All rows through all layers; logits [vocabulary] of the first answer token."""
        return self._run(self.prompted.embeddings, self.prompted.positions, None)

    @torch.inference_mode()
    def step(self) -> torch.Tensor:
        """One more answer token over the cache of the last pass."""
        token = self.prompted.embeddings[-1:]
        position = self.prompted.positions.amax() + 1 + self._cache.get_seq_length() - len(self.prompted.embeddings)
        return self._run(token, position.expand(3, 1), self._cache)

    def _run(self, embeddings: torch.Tensor, positions: torch.Tensor, cache: Any) -> torch.Tensor:
        out = self._text(
            inputs_embeds=embeddings[None], position_ids=positions[:, None], past_key_values=cache, use_cache=True
        )
        self._cache = out.past_key_values
        logits: torch.Tensor = self._thinker.lm_head(out.last_hidden_state[0, -1])
        return logits


def _second_token(bench: Bench, conversation: Conversation) -> float:
    """Milliseconds of one decode step: the first token of an answer needs none, its logits come with guiding."""
    _, turn = bench.guide(conversation)
    bench.model.step([turn])
    took = bench.ms(lambda: bench.model.step([turn]))
    bench.model.commit(turn, published=0)
    return took


def _one_shot(bench: Bench) -> tuple[float, float]:
    """Milliseconds of the published form's prefill, and its retention: the nearest that it can reach."""
    model, policy = bench.model.model, OmniDrop(bench.retention)
    prompted = assemble(model, bench.encoded, policy.compress(bench.encoded), QUESTION)
    asked = prompted.asked(model.stack.layers)
    try:
        policy.prune(asked)
    except ScheduleError as error:
        low, high = error.reachable
        policy = OmniDrop(min(max(bench.retention, low), high))
    took = bench.typical_ms(lambda: Decoding(model.stack, prompted, policy.prune(asked), limit=1))
    return took, policy.retention
