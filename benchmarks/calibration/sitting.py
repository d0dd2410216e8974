"""Settings sit the same exams: each window is encoded once, fused once a depth, and every setting is asked about it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from benchmarks.calibration.exams import Exam, Round
from benchmarks.calibration.settings import Setting
from pruner import Ask, Conversation, LiveModel, RawWindow, Turn

__all__ = ["Marks", "Sitting"]


@dataclass
class Marks:
    """A setting's marks in one exam.

    Attributes:
        right: by question.
        retention, deep_share: what was realised, by question.
    """

    right: list[bool] = field(default_factory=list)
    retention: list[float] = field(default_factory=list)
    deep_share: list[float] = field(default_factory=list)


class Sitting:
    """A model that sits exams.

    Args:
        model: at any fusion depth; it is shared by variants of itself at others.
        budget: tokens that a session's memory holds, as it will be served.
        max_tokens: most tokens of an answer; None for the model's own bound.
        batch: exams at a time.
    """

    def __init__(self, model: LiveModel, *, budget: int, max_tokens: int | None, batch: int) -> None:
        self._budget, self._max_tokens, self._batch = budget, max_tokens, batch
        self._at = {model.facts.fusion_depth: model}

    def __call__(self, settings: Sequence[Setting], exams: Sequence[Exam]) -> dict[Setting, list[Marks]]:
        """Marks of every setting, exam by exam."""
        found: dict[Setting, list[Marks]] = {setting: [] for setting in settings}
        for start in range(0, len(exams), self._batch):
            some = exams[start : start + self._batch]
            for setting, marks in self._together(settings, some).items():
                found[setting] += marks
        return found

    def _together(self, settings: Sequence[Setting], exams: Sequence[Exam]) -> dict[Setting, list[Marks]]:
        depths = list(dict.fromkeys(setting.fusion_depth for setting in settings))
        held = {depth: [self._model(depth).open(budget=self._budget) for _ in exams] for depth in depths}
        found: dict[Setting, list[Marks]] = {setting: [Marks() for _ in exams] for setting in settings}
        coming = [exam.rounds() for exam in exams]
        try:
            while rounds := {at: one for at, some in enumerate(coming) if (one := next(some, None)) is not None}:
                self._see(held, {at: one.windows for at, one in rounds.items()})
                for setting in settings:
                    conversations = held[setting.fusion_depth]
                    self._ask(setting, [(conversations[at], found[setting][at], one) for at, one in rounds.items()])
        finally:
            for conversation in (one for some in held.values() for one in some):
                conversation.close()
        return found

    def _model(self, depth: int) -> LiveModel:
        """The same weights with another fusion depth."""
        if depth not in self._at:
            model = next(iter(self._at.values()))
            variant = copy.copy(model.model)
            variant.facts = replace(model.facts, fusion_depth=depth)
            self._at[depth] = LiveModel(variant, replace(model.options, fusion_depth=depth))
        return self._at[depth]

    def _see(self, held: dict[int, list[Conversation]], windows: dict[int, Sequence[RawWindow]]) -> None:
        first = next(iter(held))
        for number in range(max(map(len, windows.values()))):
            there = [at for at, some in windows.items() if number < len(some)]
            encoded = self._model(first).encode([(held[first][at], windows[at][number]) for at in there])
            for depth, conversations in held.items():
                self._model(depth).fuse([(conversations[at], one) for at, one in zip(there, encoded, strict=True)])

    def _ask(self, setting: Setting, asked: Sequence[tuple[Conversation, Marks, Round]]) -> None:
        """Asks, marks, and takes the questions back."""
        model, options = self._model(setting.fusion_depth), setting.options(self._max_tokens)
        turns = model.guide([Ask(conversation, one.question, options) for conversation, _, one in asked])
        _finish(model, turns)
        for turn, (_, marks, one) in zip(turns, asked, strict=True):
            report = turn.report()
            marks.right.append(one.right(turn.text))
            marks.retention.append(report.retention)
            marks.deep_share.append(report.deep_share)
            model.commit(turn, published=0)


def _finish(model: LiveModel, turns: Sequence[Turn]) -> None:
    running = list(turns)
    while running:
        steps = model.step(running)
        running = [turn for turn, step in zip(running, steps, strict=True) if not step.done]
