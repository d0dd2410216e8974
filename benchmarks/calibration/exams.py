"""The calibration set: streams with questions that can be marked.

For the built-in model these are streams of SceneQA from seeds that benchmarks never use; for others, the videos of a
published benchmark in one of the formats that `omnidrop eval` reads. There is no calibration without truth.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from benchmarks.evaluation.footage import Footage
from benchmarks.evaluation.formats import read
from benchmarks.evaluation.questions import Item, judge
from benchmarks.quality.arguments import HELD_OUT_SEEDS
from benchmarks.quality.papers import Paper, make_paper, media
from pruner import RawWindow

__all__ = ["Exam", "Round", "groups", "published", "scenes"]


@dataclass(frozen=True)
class Round:
    """What flows by, then a question.

    Attributes:
        windows: since the last question.
        question: asked then.
        right: whether a reply to it is.
    """

    windows: Sequence[RawWindow]
    question: str
    right: Callable[[str], bool]


@dataclass(frozen=True)
class Exam:
    """A stream; `rounds` makes its media anew each time, so that only those in use are held."""

    name: str
    rounds: Callable[[], Iterator[Round]]


def scenes(first: int, streams: int, *, split: str, windows: int, questions: int, device: str) -> list[Exam]:
    """Streams of SceneQA, asked about at their end; a reply is right if it equals the truth to the letter.

    Raises:
        ValueError: they reach into the seeds of benchmarks.
    """
    if first + streams > HELD_OUT_SEEDS:
        raise ValueError(
            f"streams {first} to {first + streams - 1} reach into the benchmarks' seeds, {HELD_OUT_SEEDS}…"
        )
    papers = [make_paper(seed, windows, split, questions, "canonical") for seed in range(first, first + streams)]
    return [Exam(str(paper.script.seed), partial(_scene, paper, device)) for paper in papers if paper.asked]


def _scene(paper: Paper, device: str) -> Iterator[Round]:
    (windows,) = media([paper.script], device)
    for number, qa in enumerate(paper.asked):
        yield Round([] if number else windows, qa.text, partial(_equals, qa.answer))


def _equals(answer: str, reply: str) -> bool:
    return reply.strip() == answer


def published(benchmark: str, directory: Path, *, height: int, width: int, limit: int | None) -> list[Exam]:
    """Videos of a published benchmark, in an order that does not depend on their names' order.

    Raises:
        FormatError: see `benchmarks.evaluation.formats.read`.
    """
    asked = [(video, list(some)) for video, some in groupby(read(benchmark, directory), key=lambda item: item.video)]
    asked.sort(key=lambda one: hashlib.sha256(one[0].name.encode()).digest())
    return [Exam(video.name, partial(_video, video, some, height, width)) for video, some in asked[:limit]]


def _video(video: Path, items: Sequence[Item], height: int, width: int) -> Iterator[Round]:
    with closing(Footage(video, height, width)) as footage:
        for item in items:
            yield Round(list(footage.windows(item.until)), item.prompt, partial(_judged, item))


def _judged(item: Item, reply: str) -> bool:
    return judge(item, reply).right


def groups(exams: Sequence[Exam]) -> tuple[Sequence[Exam], Sequence[Exam], Sequence[Exam]]:
    """One, two and four sevenths: to sort out, to choose, and to test the choice on what chose nothing.

    Raises:
        ValueError: fewer than three streams.
    """
    if len(exams) < 3:
        raise ValueError(f"{len(exams)} streams cannot choose and then test the choice: 3 are the least, 28 usual")
    first = max(1, len(exams) // 7)
    second = max(1, 2 * len(exams) // 7)
    return exams[:first], exams[first : first + second], exams[first + second :]
