"""Long streams played through sessions that forget in different ways, and asked at their moments."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median

import torch

from benchmarks.long.forgetting import RULES
from benchmarks.long.held import resident_mib, session_bytes
from nano_omni.world.long import LongQuestion, LongStream, LongWindow
from pruner import Ask, Conversation, LiveModel, LiveOptions, RawWindow, Turn, TurnOptions
from pruner.families.omni import OmniModel

__all__ = ["Answer", "Sitting", "Vital", "as_line"]

_WINDOWS_A_MINUTE = 30
QUESTION = "What did you see first?"
"""Asked for its time only; it is taken back."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A question about a stream, and what a session answered.

    Attributes:
        rule: how the session forgets.
        seed: of the stream.
        text, answer, category, cut, age_minutes, age_seconds: see `LongQuestion`.
        predicted: what was answered.
        held: share of the windows the truth rests on of which the store still held a token.
        tokens: tokens it held of them.
    """

    rule: str
    seed: int
    text: str
    answer: str
    category: str
    cut: int
    age_minutes: int
    age_seconds: float
    predicted: str
    held: float
    tokens: int

    @property
    def right(self) -> bool:
        """To the letter."""
        return self.predicted.strip() == self.answer


@dataclass(frozen=True, slots=True)
class Vital:
    """A session at a minute of its stream.

    Attributes:
        rule, seed, minute: which and when.
        ttft_ms: a window encoded, fused and a question guided, up to the first token; the parts follow. None where
            nothing was timed.
        session_bytes: of all it holds with a turn open, counted; None where no turn was opened.
        resident_mib: of the whole process.
        tokens, text, windows: audiovisual tokens, other rows and windows in the store.
        coverage: share of the past windows still represented.
    """

    rule: str
    seed: int
    minute: int
    ttft_ms: float | None
    encode_ms: float | None
    fuse_ms: float | None
    guide_ms: float | None
    step_ms: float | None
    session_bytes: int | None
    resident_mib: float
    tokens: int
    text: int
    windows: int
    coverage: float


@dataclass(slots=True)
class _Clock:
    """Milliseconds of the windows since it was last read."""

    encode: list[float]
    fuse: list[float]


class Sitting:
    """Streams side by side, each played once, its windows encoded once and fused into a session a rule.

    Args:
        model: the weights all sessions share.
        rules: names from `RULES`.
        budget: audiovisual tokens of a session.
        turn: how questions are answered.
        commit: whether turns stay in the session, as in a conversation; otherwise each question is taken back, as if it
            were the first.
        timed: minutes at which the first rule's session is timed and counted.
        repeats: how often; medians count.
    """

    def __init__(
        self,
        model: OmniModel,
        rules: Sequence[str],
        *,
        budget: int,
        turn: TurnOptions,
        commit: bool,
        timed: Sequence[int],
        repeats: int,
    ) -> None:
        self._models = {rule: LiveModel(model, LiveOptions(turn=turn, eviction=RULES[rule])) for rule in rules}
        self._first = next(iter(rules))
        self._budget, self._commit = budget, commit
        self._timed, self._repeats = frozenset(timed), repeats
        self.computed_bytes = self._models[self._first].session_bytes(budget)

    def play(self, streams: Sequence[LongStream], device: str) -> Iterator[Answer | Vital]:
        """Yields what is found, as the streams go on. They are of one length."""
        sessions = {rule: [model.open(budget=self._budget) for _ in streams] for rule, model in self._models.items()}
        clock = _Clock([], [])
        for row in zip(*(stream.play(device) for stream in streams), strict=True):
            self._feed(sessions, row, clock)
            yield from self._ask(sessions, streams, row)
            minute, rest = divmod(row[0].index + 1, _WINDOWS_A_MINUTE)
            if not rest:
                yield from self._measure(sessions, streams, minute, clock)
                clock = _Clock([], [])
        for conversations in sessions.values():
            for conversation in conversations:
                conversation.close()

    def _feed(self, sessions: dict[str, list[Conversation]], row: Sequence[LongWindow], clock: _Clock) -> None:
        raw = [RawWindow(window.start, window.frames, window.samples) for window in row]
        model, first = self._models[self._first], sessions[self._first]
        began = time.perf_counter()
        encoded = model.encode(list(zip(first, raw, strict=True)))
        self._wait()
        clock.encode.append(1e3 * (time.perf_counter() - began) / len(row))
        for rule, conversations in sessions.items():
            began = time.perf_counter()
            self._models[rule].fuse(list(zip(conversations, encoded, strict=True)))
            self._wait()
            if rule == self._first:
                clock.fuse.append(1e3 * (time.perf_counter() - began) / len(row))

    def _ask(
        self, sessions: dict[str, list[Conversation]], streams: Sequence[LongStream], row: Sequence[LongWindow]
    ) -> Iterator[Answer]:
        for rule, conversations in sessions.items():
            for number in range(max(len(window.asked) for window in row)):
                due = [at for at, window in enumerate(row) if number < len(window.asked)]
                asked = [row[at].asked[number] for at in due]
                there = [conversations[at] for at in due]
                held = [_held(*pair) for pair in zip(there, asked, strict=True)]
                said = self._answer(self._models[rule], there, asked)
                for at, one, text, (share, tokens) in zip(due, asked, said, held, strict=True):
                    yield Answer(
                        rule,
                        streams[at].seed,
                        one.text,
                        one.answer,
                        one.category,
                        one.cut,
                        one.age_minutes,
                        one.age_seconds,
                        text,
                        share,
                        tokens,
                    )

    def _answer(
        self, model: LiveModel, conversations: Sequence[Conversation], asked: Sequence[LongQuestion]
    ) -> list[str]:
        turns = model.guide([Ask(one, qa.text) for one, qa in zip(conversations, asked, strict=True)])
        running = list(turns)
        while running:
            steps = model.step(running)
            running = [turn for turn, step in zip(running, steps, strict=True) if not step.done]
        said = [turn.text for turn in turns]
        for turn in turns:
            model.commit(turn, published=None if self._commit else 0)
        return said

    def _measure(
        self, sessions: dict[str, list[Conversation]], streams: Sequence[LongStream], minute: int, clock: _Clock
    ) -> Iterator[Vital]:
        for rule, conversations in sessions.items():
            for at, (conversation, stream) in enumerate(zip(conversations, streams, strict=True)):
                times: dict[str, float | None] = dict.fromkeys(
                    ("ttft_ms", "encode_ms", "fuse_ms", "guide_ms", "step_ms")
                )
                held = None
                if rule == self._first and at == 0 and minute in self._timed:
                    guide, step, held = self._time(self._models[rule], conversation)
                    encode, fuse = median(clock.encode), median(clock.fuse)
                    times = {
                        "ttft_ms": encode + fuse + guide + step,
                        "encode_ms": encode,
                        "fuse_ms": fuse,
                        "guide_ms": guide,
                        "step_ms": step,
                    }
                report = conversation.report()
                yield Vital(
                    rule,
                    stream.seed,
                    minute,
                    session_bytes=held,
                    resident_mib=resident_mib(),
                    tokens=report.store_tokens,
                    text=report.text_tokens,
                    windows=report.windows,
                    coverage=report.coverage,
                    **times,
                )

    def _time(self, model: LiveModel, conversation: Conversation) -> tuple[float, float, int]:
        """Milliseconds of guiding and of the first step, and the bytes held with the turn open."""
        guides, steps, held = [], [], 0
        for _ in range(self._repeats):
            began = time.perf_counter()
            turns: list[Turn] = model.guide([Ask(conversation, QUESTION)])
            self._wait()
            guided = time.perf_counter()
            model.step(turns)
            self._wait()
            steps.append(1e3 * (time.perf_counter() - guided))
            guides.append(1e3 * (guided - began))
            held = max(held, session_bytes(conversation, turns[0]))
            model.commit(turns[0], published=0)
        return median(guides), median(steps), held

    def _wait(self) -> None:
        device = self._models[self._first].model.stack.device
        if device.type == "cuda":
            torch.cuda.synchronize(device)


def _held(conversation: Conversation, asked: LongQuestion) -> tuple[float, int]:
    """Share of a question's windows that the store holds something of, and how many tokens."""
    rows = conversation.store.rows
    chunk = rows.chunk[rows.media]
    wanted = range(asked.first_window, asked.last_window + 1)
    counts = [int((chunk == number).sum()) for number in wanted]
    return sum(count > 0 for count in counts) / len(counts), sum(counts)


def as_line(found: Answer | Vital) -> dict[str, object]:
    """For a journal or a dump."""
    return {"kind": type(found).__name__.lower(), **asdict(found)}
