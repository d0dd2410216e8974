"""Runs one method on a few streams and says what it answered and spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.quality.arguments import LIVE, Job
from benchmarks.quality.papers import Paper, media
from benchmarks.quality.together import answer_together
from pruner import Ask, LiveModel, ScheduleError, Turn
from pruner.flops import DecoderShape, prefill_flops
from pruner.guidance import LayerPruner
from pruner.oneshot import Prompted, assemble, reply
from pruner.policies import Policy, make, spending
from pruner.windows import EncodedWindow


@dataclass(frozen=True, slots=True)
class Prediction:
    """An answer and what it took.

    Attributes:
        text: the answer.
        retention: layer mean of the audiovisual tokens used, of those before compression.
        flops, flops_after: of the decoder's pass over the prompt, and of its part after the question was known.
        deep_share: mean share of the stored tokens over the deep layers; None for methods without a store.
        alive: audiovisual tokens that entered each layer.
    """

    text: str
    retention: float
    flops: int
    flops_after: int
    deep_share: float | None
    alive: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A target outside of what the method can do here."""

    target: float
    low: float
    high: float


class Candidates:
    """All methods on a few streams. The towers run once, the shallow half of the live ones too.

    Args:
        model: answers.
        papers: streams of one length.
        device: where media are made.
    """

    def __init__(self, model: LiveModel, papers: Sequence[Paper], device: str) -> None:
        self._model = model
        self._shape = DecoderShape.read(model.model.thinker.config.text_config)
        self._papers = papers
        raw = media([paper.script for paper in papers], device)
        facts = model.facts
        budget = len(raw[0]) * facts.window_seconds * (facts.video_rate + facts.audio_rate)
        self._conversations = [model.open(budget=budget) for _ in papers]
        rounds = [model.encode(list(zip(self._conversations, one, strict=True))) for one in zip(*raw, strict=True)]
        self._windows: list[Sequence[EncodedWindow]] = list(zip(*rounds, strict=True))
        self._fused = False

    def close(self) -> None:
        """Free the stores."""
        for conversation in self._conversations:
            conversation.close()

    def run(self, job: Job) -> list[list[Prediction]] | Unreachable:
        """Predictions of each stream's questions."""
        try:
            if job.policy in LIVE:
                return self._live(job)
            policy = make(job.policy, job.retention or 1.0, self._model.facts.layers)
            pairs = zip(self._papers, self._windows, strict=True)
            return [self._recorded(policy, paper, windows) for paper, windows in pairs]
        except ScheduleError as error:
            return Unreachable(error.target, *error.reachable)

    # The live form: a question is asked, answered and taken back.

    def _live(self, job: Job) -> list[list[Prediction]]:
        self._fuse()
        options = replace(LIVE[job.policy], retention=job.retention, deep_share=job.deep_share or 1.0)
        predictions: list[list[Prediction]] = [[] for _ in self._papers]
        for number in range(max(len(paper.asked) for paper in self._papers)):
            there = [at for at, paper in enumerate(self._papers) if number < len(paper.asked)]
            asks = [Ask(self._conversations[at], self._papers[at].asked[number].text, options) for at in there]
            turns = self._model.guide(asks)
            self._finish(turns)
            for at, ask, turn in zip(there, asks, turns, strict=True):
                predictions[at].append(self._predicted(ask, turn))
                self._model.commit(turn, published=0)
        return predictions

    def _fuse(self) -> None:
        if not self._fused:
            for windows in zip(*self._windows, strict=True):
                self._model.fuse(list(zip(self._conversations, windows, strict=True)))
            self._fused = True

    def _finish(self, turns: Sequence[Turn]) -> None:
        running = list(turns)
        while running:
            steps = self._model.step(running)
            running = [turn for turn, step in zip(running, steps, strict=True) if not step.done]

    def _predicted(self, ask: Ask, turn: Turn) -> Prediction:
        report, prompt = turn.report(), self._model.model.prompt
        alive = report.tokens_per_layer
        flops = prefill_flops(
            self._shape,
            alive,
            text=report.prompt_tokens - alive[0],
            question=len(prompt.question(ask.text)) + len(prompt.header),
            ahead=self._model.facts.fusion_depth,
        )
        return Prediction(
            turn.text, report.retention, flops.total, flops.after_question, report.deep_share, tuple(alive)
        )

    # Everything else: a recording and a question, in one pass.

    def _recorded(self, policy: Policy, paper: Paper, windows: Sequence[EncodedWindow]) -> list[Prediction]:
        model = self._model.model
        if not paper.asked:
            return []
        selections = policy.compress(windows)
        prompts = [assemble(model, windows, selections, qa.text) for qa in paper.asked]
        pruner = policy.prune(prompts[0].asked(model.stack.layers))
        if any(pruner.drops):
            replies = [reply(model, windows, qa.text, policy) for qa in paper.asked]
            return [self._spent(policy, one.text, one.prompted, one.pruner) for one in replies]
        answers = answer_together(model, prompts, pruner, limit=model.facts.max_answer_tokens)
        return [
            self._spent(policy, model.prompt.decode(ids), prompted, pruner)
            for ids, prompted in zip(answers, prompts, strict=True)
        ]

    def _spent(self, policy: Policy, text: str, prompted: Prompted, pruner: LayerPruner) -> Prediction:
        count = len(prompted.media)
        spent = spending(
            self._shape,
            policy,
            pruner,
            count=count,
            raw=prompted.raw,
            text=len(prompted.embeddings) - count,
            question=prompted.tail,
        )
        alive, left = [], count
        for drop in pruner.drops:
            alive.append(left)
            left -= drop
        return Prediction(text, spent.retention, spent.flops.total, spent.flops.after_question, None, tuple(alive))
