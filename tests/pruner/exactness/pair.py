"""Drives the live model and its reference through the same conversation and compares them at every answer."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn.functional import cosine_similarity

from pruner import Ask, LiveModel, RawWindow, Turn, TurnOptions
from pruner.question import from_speech

from .reference import Outcome, Pruning, Row, Weights, one_shot
from .replay import Replay
from .script import QWEN2_5, Grammar, Script, WindowTokens

TOLERANCE = 1e-9
GROUP = 4


class Pair:
    """One conversation, held twice.

    Args:
        model: the live model, in fp64.
        weights, tokenizer: the same model's, as transformers loads them.
        budget: audiovisual tokens its store may keep.
        seed: of the random media.
        exact_positions: position ids must be those of the grammar; False where the store re-bases them.
        grammar: of the family.
    """

    def __init__(
        self,
        model: LiveModel,
        weights: Weights,
        tokenizer: Any,
        *,
        budget: int,
        seed: int = 0,
        exact_positions: bool = True,
        grammar: Grammar = QWEN2_5,
    ) -> None:
        self.model = model
        self.conversation = model.open(budget=budget)
        self.random = np.random.default_rng(seed)
        self.size = model.model.vision.height
        self.weights = weights
        self.exact_positions = exact_positions
        side = model.facts.rows
        limit = model.facts.segment_windows
        self.script = Script(weights, tokenizer, limit, grid=(side, side), grammar=grammar)
        self.script.system(model.facts.system)
        self.replay = Replay(self.weights, model.facts.fusion_depth)
        self.whole = 0  # answers that were also compared with the conversation computed at once
        self.start = 0.0
        self.phase = 0
        self.anchor: Tensor | None = None
        self._follow()

    def window(self, seconds: int = 2, *, new_segment: bool = False, loud: float = 0.3) -> None:
        """A random window goes to both."""
        frames = self.random.integers(0, 256, (2 * seconds, self.size, self.size, 3), dtype=np.uint8)
        samples = (loud * self.random.standard_normal(16_000 * seconds)).astype(np.float32).clip(-1, 1)
        self.feed(RawWindow(self.start, frames, samples, new_segment))

    def feed(self, raw: RawWindow) -> None:
        """A window goes to both; the reference chooses its own tokens from what the towers made of it."""
        (encoded,) = self.model.encode([(self.conversation, raw)])
        self.start += raw.seconds
        self.model.fuse([(self.conversation, encoded)])
        assert encoded.video is not None
        assert encoded.audio is not None
        assert encoded.saliency is not None
        if self.script.starts_segment(raw.new_segment):
            self.phase, self.anchor = 0, None
        seen = encoded.video.cpu().double()
        video = self._video_places(seen)
        audio = sorted(encoded.saliency.argsort(descending=True)[: round(0.7 * len(encoded.saliency))].tolist())
        flat = seen.flatten(0, 1)
        later = None
        if encoded.deep is not None:
            later = encoded.deep.cpu().double().flatten(0, 1)[video].unflatten(-1, (-1, flat.shape[1]))
        heard = encoded.audio.cpu().double()[audio]
        tokens = WindowTokens(raw.seconds, flat[video], video, heard, audio, raw.new_segment, later)
        self.script.window(tokens)
        self._follow()

    def ask(self, text: str, options: TurnOptions, *, published: int | None = None) -> list[int]:
        """Asks both, compares survivors and all logits of the answer, and commits; returns the answer's tokens."""
        return self._turn(Ask(self.conversation, text, options), lambda: self.script.question(text), published)

    def speak(self, seconds: float, options: TurnOptions, *, published: int | None = None) -> list[int]:
        """The same with a random sound as the question; the reference asks with what the tower made of it."""
        speech = (0.3 * self.random.standard_normal(round(16_000 * seconds))).astype(np.float32).clip(-1, 1)
        heard = from_speech(self.model.model, speech).speech
        assert heard is not None
        tokens = heard.cpu().double()
        asking = Ask(self.conversation, options=options, speech=speech)
        return self._turn(asking, lambda: self.script.spoken(tokens), published)

    def _turn(self, asking: Ask, write: Callable[[], None], published: int | None) -> list[int]:
        (turn,) = self.model.guide([asking])
        options = asking.options
        assert options is not None
        self.script.before_question()
        ground = copy(self.script), list(self.script.rows)
        write()
        scores = self._follow(options.score)
        asked = len(self.script.rows)
        logits, done = [], False
        while not done:
            done = self.model.step([turn])[0].done
            logits.append(turn.logits.to("cpu", copy=True))
        answer = list(turn.ids)
        kept = answer if published is None else answer[:published]
        self.script.ids(kept)
        self._compare(turn, options, logits, scores, answer)
        self.model.commit(turn, published=published)
        self.phase, self.anchor = 0, None
        if kept:
            self.script.answer_over()
        else:
            self.script, self.script.rows = ground
            asked = len(self.script.rows)
        self.replay.back(asked)
        self._follow()
        return answer

    def _compare(
        self, turn: Turn, options: TurnOptions, logits: list[Tensor], scores: Tensor | None, answer: list[int]
    ) -> None:
        pruning = Pruning(list(turn.guidance.drops), options.score, options.diversity_weight, "max")
        first = self.replay.position[self.replay.alive[-1]][0] + 1
        rows = [Row("text", self.weights.embed[n], (first + i,) * 3) for i, n in enumerate(answer)]
        if rows:
            self.replay.append(rows)
        self._same(self.replay.deep(pruning, scores), turn, logits, first=self.replay.depth)
        if len(self.replay.alive) == len(self.replay.fed) and self.exact_positions:
            self._same(one_shot(self.weights, self.replay.fed, pruning), turn, logits, first=0)
            self.whole += 1

    def _same(self, expected: Outcome, turn: Turn, logits: list[Tensor], *, first: int) -> None:
        found = [sequence.tolist() for sequence in turn.sequences()[first:]]
        assert found == expected.alive, "the same tokens enter every layer"
        # the last answer token was sampled, and not run through the layers yet
        assert len(expected.logits) - len(logits) in (0, 1)
        for mine, theirs in zip(logits, expected.logits, strict=False):
            assert (mine.double() - theirs).abs().max() <= TOLERANCE * max(1.0, float(theirs.abs().max()))

    def _follow(self, score: str | None = None) -> Tensor | None:
        """Replays on the reference's rows what the store did to its own, then appends what is new."""
        stored = self.conversation.store.rows
        numbers = [int(number) for number in stored.sequence]
        known = len(self.replay.fed)
        fresh = self.script.rows[known:]
        position = {n: tuple(int(x) for x in at) for n, at in zip(numbers, stored.position, strict=True)}
        assert [n for n in numbers if n >= known] == list(range(known, known + len(fresh))), "the same rows were fed"
        if self.exact_positions:
            assert all(position[n] == self.script.rows[n].position for n in numbers), "the same position ids"
        for number, row in enumerate(fresh, start=known):
            row.position = position[number]
        self.replay.keep([n for n in numbers if n < known])
        self.replay.move({n: at for n, at in position.items() if n < known})
        return self.replay.append(fresh, score) if fresh else None

    def _video_places(self, tokens: Tensor) -> list[int]:
        """DyCoke's temporal merging as section 3.4 states it, patch after patch."""
        count = tokens.shape[1]
        places: list[int] = []
        for number, patch in enumerate(tokens):
            if self.phase == 0:
                self.anchor = patch
                kept = list(range(count))
            else:
                assert self.anchor is not None
                likeness = cosine_similarity(patch, self.anchor, dim=-1)
                kept = sorted(likeness.argsort()[: int(0.2 * count)].tolist())
            places += [number * count + place for place in kept]
            self.phase = (self.phase + 1) % GROUP
        return places
