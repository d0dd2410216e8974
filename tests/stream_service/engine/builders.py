"""Windows and questions with the least that a test must say."""

from __future__ import annotations

import numpy as np

from stream_service.types import Question, QuestionSource, Window


def window(session: str = "a", index: int = 0, *, seconds: float = 2.0, media: bool = False) -> Window:
    start = 2.0 * index
    frames = np.zeros((int(2 * seconds), 8, 8, 3), np.uint8) if media else None
    samples = np.zeros(int(16_000 * seconds), np.float32) if media else None
    return Window(session, index, start, start + seconds, frames, samples)


def question(id: str = "q", session: str = "a", text: str = "what?", at: float = 0.0) -> Question:
    return Question(id, session, text, QuestionSource.HTTP, at)


def spoken(id: str = "q", session: str = "a", seconds: float = 1.0) -> Question:
    """A question asked by noise in the place of speech, the same for the same length."""
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, int(16_000 * seconds)).astype(np.float32)
    return Question(id, session, "", QuestionSource.SPEECH, 0.0, speech=noise)


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
