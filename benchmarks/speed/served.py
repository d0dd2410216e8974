"""Sessions of a live model: opened with a past, asked again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count, islice

from benchmarks.speed.fill import fill_quickly
from benchmarks.speed.seams import between_halves
from benchmarks.speed.stopwatch import Stopwatch
from pruner import Ask, Conversation, EncodedWindow, LiveModel, RawWindow, Turn

__all__ = ["Served"]


class Served:
    """A live model that is measured.

    Args:
        live: the model.
        suffix: of the names of its rows; empty for the one that counts.
        watch: times it.
        encoded: the minute after the towers.
        patch: the second that is still to be encoded when somebody asks.
        question: what is asked.
        budget, quick: as in `Setting`.
    """

    def __init__(
        self,
        live: LiveModel,
        *,
        suffix: str,
        watch: Stopwatch,
        encoded: Callable[[], Sequence[EncodedWindow]],
        patch: RawWindow,
        question: str,
        budget: int,
        quick: bool,
    ) -> None:
        self.live, self.suffix, self.question = live, suffix, question
        self._watch, self._encoded, self._patch = watch, encoded, patch
        self._budget, self._quick = budget, quick

    def stream(self, windows: int, *, first: int = 0) -> Iterator[EncodedWindow]:
        """Encoded windows of a session: the minute again and again, its time going on."""
        minute = self._encoded()
        for number in islice(count(first), windows):
            yield replace(minute[number % len(minute)], start=2.0 * number)

    def open(self, windows: int = 0, *, quick: bool | None = None) -> Conversation:
        """A session at the budget with a past of some windows."""
        conversation = self.live.open(budget=self._budget)
        if self._quick if quick is None else quick:
            fill_quickly(conversation, self.stream(windows))
        else:
            for window in self.stream(windows):
                self.live.fuse([(conversation, window)])
        return conversation

    def ask(self, conversation: Conversation) -> dict[str, float]:
        """Milliseconds from a known question to its first token, by part; then everything is taken back.

        The last second is encoded and fused before: that is part of it. Whatever had to leave a full memory for it
        stays away.
        """
        before = conversation.here()
        laps = self._watch.laps()
        encoded = self.live.encode([(conversation, self._patch)])
        laps.mark("encode_ms")
        self.live.fuse([(conversation, encoded[0])])
        laps.mark("fuse_ms")
        with between_halves(self.live, lambda: laps.mark("question_ms")):
            turn = self.guide(conversation)
        laps.mark("guide_ms")
        self.live.step([turn])
        laps.read("first_step_ms")
        spent = dict(laps.done())
        self.live.commit(turn, published=0)
        if conversation.store.epoch == before.mark.epoch:
            conversation.retract(before)
        return spent

    def guide(self, conversation: Conversation) -> Turn:
        """Ask the question."""
        return self.live.guide([Ask(conversation, self.question)])[0]
