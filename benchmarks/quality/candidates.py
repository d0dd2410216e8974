"""Runs one method on a few streams and says what it answered and spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.quality.jobs import LIVE, Job
from benchmarks.quality.outcomes import Answered, Prediction, Unreachable
from benchmarks.quality.papers import Paper, media
from benchmarks.quality.survivors import NOWHERE, Ints, Survivors, depths, places
from benchmarks.quality.together import Answer, answer_each, answer_together
from nano_omni.world import QA
from pruner import Ask, LiveModel, ScheduleError, Turn
from pruner.flops import DecoderShape, prefill_flops
from pruner.guidance import LayerPruner
from pruner.oneshot import Prompted, assemble
from pruner.policies import Policy, make, spending
from pruner.question import Speech
from pruner.windows import EncodedWindow

__all__ = ["Candidates", "Done"]


@dataclass(frozen=True)
class Done:
    """A method on one stream: its predictions, and who lived where."""

    predictions: tuple[Prediction, ...]
    survivors: Survivors

    @property
    def answered(self) -> Answered:
        """What a journal keeps of it."""
        counts = self.survivors.by_layer_and_window().tolist()
        raw = self.survivors.raw.sum(axis=1).tolist()
        return Answered(self.predictions, tuple(map(tuple, counts)), tuple(raw))


class Candidates:
    """All methods on a few streams. The towers run once, the shallow half of the live ones too.

    Args:
        model: answers.
        papers: streams of one length.
        device: where media are made.

    Attributes:
        windows: of each stream, encoded.
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
        self.windows: list[Sequence[EncodedWindow]] = list(zip(*rounds, strict=True))
        self._fused = False

    def close(self) -> None:
        """Free the stores."""
        for conversation in self._conversations:
            conversation.close()

    def run(
        self,
        job: Job,
        those: Sequence[int] | None = None,
        *,
        retention: float | None = None,
        asked: Sequence[Sequence[QA]] | None = None,
        spoken: Sequence[Sequence[Speech]] | None = None,
    ) -> list[Done] | Unreachable:
        """Answers about some of the streams.

        Args:
            job: what to run.
            those: indices of the streams; None for all.
            retention: for a job that is to equal a live row: what its method is set to.
            asked: questions about each stream; None for its paper's.
            spoken: the same as speech, which live methods then take in place of the words.
        """
        there = range(len(self._papers)) if those is None else those
        questions = [self._papers[at].asked if asked is None else asked[at] for at in there]
        retention = job.retention if retention is None else retention
        try:
            if job.policy in LIVE:
                return self._live(
                    job, retention, there, questions, None if spoken is None else [spoken[at] for at in there]
                )
            policy = make(job.policy, retention or 1.0, self._model.facts.layers)
            return [self._recorded(policy, some, self.windows[at]) for at, some in zip(there, questions, strict=True)]
        except ScheduleError as error:
            return Unreachable(error.target, *error.reachable)

    # The live form: a question is asked, answered and taken back.

    def _live(
        self,
        job: Job,
        retention: float | None,
        there: Sequence[int],
        asked: Sequence[Sequence[QA]],
        spoken: Sequence[Sequence[Speech]] | None,
    ) -> list[Done]:
        self._fuse()
        options = replace(LIVE[job.policy], retention=retention, deep_share=job.deep_share or 1.0)
        predictions: list[list[Prediction]] = [[] for _ in there]
        depth: list[list[Ints]] = [[] for _ in there]
        for number in range(max(map(len, asked), default=0)):
            open_streams = [one for one, some in enumerate(asked) if number < len(some)]
            asks = [
                Ask(self._conversations[there[one]], asked[one][number].text, options)
                if spoken is None
                else Ask(self._conversations[there[one]], "", options, speech=spoken[one][number])
                for one in open_streams
            ]
            turns = self._model.guide(asks)
            self._finish(turns)
            for one, turn in zip(open_streams, turns, strict=True):
                predictions[one].append(self._predicted(turn))
                layers = turn.sequences()
                depth[one].append(depths(layers[0], layers))
                self._model.commit(turn, published=0)
        return [
            Done(tuple(said), self._stored(at, deep)) for at, said, deep in zip(there, predictions, depth, strict=True)
        ]

    def _fuse(self) -> None:
        if not self._fused:
            for windows in zip(*self.windows, strict=True):
                self._model.fuse(list(zip(self._conversations, windows, strict=True)))
            self._fused = True

    def _finish(self, turns: Sequence[Turn]) -> None:
        running = list(turns)
        while running:
            steps = self._model.step(running)
            running = [turn for turn, step in zip(running, steps, strict=True) if not step.done]

    def _predicted(self, turn: Turn) -> Prediction:
        report = turn.report()
        alive = report.tokens_per_layer
        flops = prefill_flops(
            self._shape,
            alive,
            text=report.prompt_tokens - alive[0],
            question=turn.answer.mark.length - turn.question.mark.length,
            ahead=self._model.facts.fusion_depth,
        )
        after = flops.after_question
        return Prediction(turn.text, report.retention, flops.total, after, after, report.deep_share, tuple(alive))

    def _stored(self, at: int, depth: Sequence[Ints]) -> Survivors:
        rows = self._conversations[at].store.rows
        here = rows.take(rows.media)
        columns = (here.chunk, here.modality, here.place)
        return Survivors.stack(columns, depth, self._model.facts.layers, self.windows[at])

    # Everything else: a recording and a question, in one pass.

    def _recorded(self, policy: Policy, asked: Sequence[QA], windows: Sequence[EncodedWindow]) -> Done:
        model, limit = self._model.model, self._model.facts.max_answer_tokens
        if not asked:
            return Done((), Survivors.stack(NOWHERE, [], model.stack.layers, windows))
        selections = policy.compress(windows)
        prompts = [assemble(model, windows, selections, qa.text) for qa in asked]
        pruners = [policy.prune(prompt.asked(model.stack.layers)) for prompt in prompts]
        # On a GPU a pass costs less than feeding a question's rows one by one to a copy of a shared past.
        if model.stack.device.type == "cuda" or any(any(pruner.drops) for pruner in pruners):
            answers = answer_each(model, prompts, pruners, limit=limit)
        else:
            answers = answer_together(model, prompts, pruners[0], limit=limit)
        depth = [
            depths(prompt.media.numpy(), [rows.cpu().numpy() for rows in answer.alive])
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
        said = [
            self._spent(policy, answer, prompt, pruner)
            for answer, prompt, pruner in zip(answers, prompts, pruners, strict=True)
        ]
        return Done(tuple(said), Survivors.stack(places(prompts[0], selections), depth, model.stack.layers, windows))

    def _spent(self, policy: Policy, answer: Answer, prompted: Prompted, pruner: LayerPruner) -> Prediction:
        count = len(prompted.media)

        def spent(stored: int | None) -> tuple[float, int, int]:
            found = spending(
                self._shape,
                policy,
                pruner,
                count=count,
                raw=prompted.raw,
                text=len(prompted.embeddings) - count,
                question=prompted.tail,
                stored=stored,
            )
            return found.retention, found.flops.total, found.flops.after_question

        retention, total, after = spent(None)
        in_store = spent(self._model.facts.fusion_depth)[2]
        alive = tuple(len(rows) for rows in answer.alive)
        return Prediction(self._model.model.prompt.decode(answer.ids), retention, total, after, in_store, None, alive)
