"""What a model answers about streams that were encoded in one way or another."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.quality.papers import Paper
from benchmarks.statistics import paired_difference, wilson
from pruner import Ask, EncodedWindow, LiveModel

__all__ = ["compared", "said"]


def said(model: LiveModel, windows: Sequence[EncodedWindow], paper: Paper) -> list[str]:
    """Answers about a stream with the model's usual options; every question is the first."""
    budget = sum(window.seen.total for window in windows) + _window_tokens(model)
    conversation, answers = model.open(budget=budget), []
    for window in windows:
        model.fuse([(conversation, window)])
    for asked in paper.asked:
        (turn,) = model.guide([Ask(conversation, asked.text)])
        while not model.step([turn])[0].done:
            pass
        answers.append(turn.text.strip())
        model.commit(turn, published=0)
    conversation.close()
    return answers


def compared(
    papers: Sequence[Paper], answers: Sequence[Sequence[str]], reference: Sequence[Sequence[str]]
) -> dict[str, object]:
    """Accuracy with its interval, paired difference to the reference's, and the share of answers that are the same."""
    truth = [[asked.answer for asked in paper.asked] for paper in papers]
    right, before = (_right(one, truth) for one in (answers, reference))
    count = sum(map(len, truth))
    interval = wilson(sum(map(sum, right)), count)
    change = paired_difference([(sum(mine) - sum(its), len(mine)) for mine, its in zip(right, before, strict=True)])
    same = sum(
        one == two for mine, its in zip(answers, reference, strict=True) for one, two in zip(mine, its, strict=True)
    )
    return {
        "n": count,
        "accuracy": round(interval.value, 5),
        "confidence": [round(interval.low, 5), round(interval.high, 5)],
        "difference": [round(change.value, 5), round(change.low, 5), round(change.high, 5)],
        "same_answers": round(same / count, 5),
    }


def _right(answers: Sequence[Sequence[str]], truth: Sequence[Sequence[str]]) -> list[list[bool]]:
    return [[one == other for one, other in zip(*pair, strict=True)] for pair in zip(answers, truth, strict=True)]


def _window_tokens(model: LiveModel) -> int:
    facts = model.facts
    return facts.window_seconds * (facts.video_rate + facts.audio_rate)
