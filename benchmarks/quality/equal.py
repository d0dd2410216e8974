"""What a rival must be set to so that it costs as much as the live form, in tokens or in operations.

All counts follow from shapes, so one stream tells them for all streams of its length. The live row's figures come from
its schedule. A rival is set to the live row's retention as it is; for operations its retention is found by bisection on
the operations that its own counts take.

Operations are compared in a store like the live form's: what the shallow layers can do before the question is done
then, the deep layers run when it is asked. A method that chooses without the question could also run its deep layers
ahead, at the price of their keys and values for the whole session; rows therefore carry both figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from benchmarks.quality.jobs import LIVE, Job
from benchmarks.quality.outcomes import Unreachable
from pruner import LiveModel, ScheduleError
from pruner.flops import DecoderShape, prefill_flops
from pruner.oneshot import assemble
from pruner.policies import Asked, make, spending
from pruner.policies.base import intra_modality, raw_tokens
from pruner.tokens import Modality
from pruner.windows import EncodedWindow

__all__ = ["Equaliser"]

_LEAST = 0.002
"""Retention below which no method is set."""
_NEAR = 0.02
"""A cost this near to what a method can reach is taken as reached."""
_STEPS = 14
_INSIDE = 1e-6
"""Keeps rounding from pushing the end of a range out of it."""


class Equaliser:
    """Solves rivals' targets on one stream.

    Args:
        model: answers.
        windows: the stream, encoded.
        question: any; its length is what matters.
    """

    def __init__(self, model: LiveModel, windows: Sequence[EncodedWindow], question: str) -> None:
        self._facts, self._windows = model.facts, windows
        self._shape = DecoderShape.read(model.model.thinker.config.text_config)
        selections = intra_modality(windows)
        prompted = assemble(model.model, windows, selections, question)
        self._count, self._raw = len(prompted.media), raw_tokens(windows)
        self._text, self._question = len(prompted.embeddings) - self._count, prompted.tail

    def solve(self, job: Job) -> float | Unreachable:
        """The retention to set a job's method to.

        Raises:
            ValueError: the job has a target of its own.
        """
        if job.model is None:
            raise ValueError(f"{job.key} is not to equal a live row")
        if job.retention_of is not None:
            return self.live(job.retention_of)[0]
        return self._by_flops(job.policy, self.live(job.model)[1])

    def live(self, deep_share: float) -> tuple[float, int]:
        """Retention and operations after the question of the live form at a deep share."""
        layers, depth = self._facts.layers, self._facts.fusion_depth
        options = replace(LIVE["live"], deep_share=deep_share)
        schedule = options.solved(layers, depth, self._count, self._raw)
        flops = prefill_flops(
            self._shape, schedule.alive(self._count), text=self._text, question=self._question, ahead=depth
        )
        return schedule.retention(self._count, self._raw), flops.after_question

    def flops(self, policy: str, retention: float) -> int:
        """Operations after the question of a method at a retention, in a store like the live form's.

        Raises:
            ScheduleError: it cannot reach that retention.
        """
        method = make(policy, retention, self._facts.layers)
        selections = method.compress(self._windows)
        sizes = [size for one in selections for size in (len(one.video), len(one.audio))]
        chunk = np.repeat(np.arange(len(sizes)) // 2, sizes)
        modality = np.repeat([Modality.VIDEO, Modality.AUDIO] * len(selections), sizes)
        asked = Asked(
            self._facts.layers,
            self._raw,
            torch.from_numpy(chunk),
            torch.from_numpy(modality),
            self._question,
        )
        spent = spending(
            self._shape,
            method,
            method.prune(asked),
            count=asked.count,
            raw=self._raw,
            text=self._text,
            question=self._question,
            stored=self._facts.fusion_depth,
        )
        return spent.flops.after_question

    def _by_flops(self, policy: str, target: int) -> float | Unreachable:
        low, high = self._reach(policy)
        least, most = self.flops(policy, low), self.flops(policy, high)
        if not least * (1 - _NEAR) <= target <= most * (1 + _NEAR):
            return Unreachable(target, least, most, "flops")
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.flops(policy, middle) <= target else (low, middle)
        return low

    def _reach(self, policy: str) -> tuple[float, float]:
        """Lowest and highest retention that a method can be set to."""
        low, high = _LEAST, 1.0
        try:
            self.flops(policy, low)
        except ScheduleError as error:
            low = max(error.reachable[0] + _INSIDE, low)
        try:
            self.flops(policy, high)
        except ScheduleError as error:
            high = error.reachable[1] - _INSIDE
        return low, high
