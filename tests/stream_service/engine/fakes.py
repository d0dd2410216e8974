"""A model that answers by rote, with the pruner's call order checked, and a gateway link without a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from pruner import Ask, BudgetError, InputError, RawWindow, ScheduleError, Step, TurnOptions
from pruner.eviction import EvictionReport
from stream_service.engine.messages import Command, Prepare, Reply
from stream_service.engine.settings import EngineSettings
from stream_service.types import EngineInfo
from tests.stream_service.engine.builders import Clock


@dataclass
class FakeConversation:
    budget: int
    tokens: int = 0
    history: list[str] = field(default_factory=list)
    """What the conversation holds, in order: ``w0`` a window's start, ``?text``, ``!answer``."""
    encoded: list[float] = field(default_factory=list)
    turn: FakeTurn | None = None
    closed: bool = False

    def set_budget(self, budget: int) -> EvictionReport:
        assert self.turn is None
        if budget < 72:
            raise BudgetError("audiovisual budget", needed=72, available=budget)
        evicted = max(0, self.tokens - budget)
        self.budget, self.tokens = budget, self.tokens - evicted
        return EvictionReport(evicted, thinned_chunks=1 if evicted else 0)

    def report(self) -> Any:
        return SimpleNamespace(store_tokens=self.tokens, coverage=0.5)

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeEncoded:
    start: float
    shared: int = 1


@dataclass
class FakeTurn:
    conversation: FakeConversation
    text: str
    words: list[str]
    limit: int
    said: int = 0

    def report(self) -> Any:
        survivors = [SimpleNamespace(start=0.0, end=2.0, video=[72, 9], audio=[50, 7])]
        generated = min(self.said, len(self.words))
        return SimpleNamespace(
            generated=generated,
            tokens_per_layer=[122, 16],
            survivors=survivors,
            retention=0.3,
            deep_share=0.2,
            prompt_tokens=9,
        )


class FakeModel:
    """Answers with ``words``. A window with ``start`` in ``bad`` is refused. Costs are advanced on ``clock``."""

    def __init__(self, clock: Clock, words: Sequence[str] = ("a ", "b ", "c")) -> None:
        self.clock = clock
        self.words = list(words)
        self.bad: set[float] = set()
        self.cost = {"encode": 0.01, "fuse": 0.01, "guide": 0.02, "step": 0.005}
        self.calls: list[tuple[str, int]] = []
        self.raw: list[RawWindow] = []
        self.conversations: list[FakeConversation] = []

    def check(self, options: TurnOptions) -> None:
        if options.deep_share < 0.01:
            raise ScheduleError(options.deep_share, (0.01, 1.0), "deep_share")

    def session_bytes(self, budget: int) -> int:
        return 1000 * budget

    def open(self, *, budget: int) -> FakeConversation:
        self.conversations.append(FakeConversation(budget))
        return self.conversations[-1]

    def encode(self, items: Sequence[tuple[FakeConversation, RawWindow]]) -> list[FakeEncoded]:
        self._spend("encode", items)
        for _, raw in items:
            if raw.start in self.bad:
                raise InputError("frames", "unusable", "send others")
        for conversation, raw in items:
            self.raw.append(raw)
            conversation.encoded.append(raw.start)
        return [FakeEncoded(raw.start) for _, raw in items]

    def fuse(self, items: Sequence[tuple[FakeConversation, FakeEncoded]]) -> list[Any]:
        self._spend("fuse", items)
        for conversation, window in items:
            assert conversation.turn is None, "a window has no place while its conversation answers"
            assert conversation.encoded.pop(0) == window.start
            conversation.history.append(f"w{window.start:g}")
            conversation.tokens += 194
        counts = SimpleNamespace(video=144, audio=50)
        return [
            SimpleNamespace(seen=counts, kept=counts, store_tokens=194, evicted=0, thinned_chunks=0, coverage=1.0)
            for _ in items
        ]

    def guide(self, asks: Sequence[Ask]) -> list[FakeTurn]:
        self._spend("guide", asks)
        for ask in asks:
            if not ask.text and ask.speech is None:
                raise InputError("text", "empty", "say something")
        turns = []
        for ask in asks:
            conversation: Any = ask.conversation
            assert conversation.turn is None
            assert ask.options
            assert ask.options.max_tokens
            conversation.turn = FakeTurn(conversation, ask.text, self.words, ask.options.max_tokens)
            spoken = "" if ask.speech is None else f"{len(ask.speech)} samples"
            conversation.history.append(f"?{ask.text}{spoken}")
            turns.append(conversation.turn)
        return turns

    def step(self, turns: Sequence[FakeTurn]) -> list[Step]:
        self._spend("step", turns)
        return [self._word(turn) for turn in turns]

    def commit(self, turn: FakeTurn, *, published: int | None = None) -> None:
        assert turn.conversation.turn is turn
        turn.conversation.turn = None
        if published == 0:
            turn.conversation.history.pop()
        else:
            turn.conversation.history.append("!" + "".join(turn.words[: turn.said if published is None else published]))

    def _word(self, turn: FakeTurn) -> Step:
        turn.said += 1
        if turn.said > len(turn.words):
            return Step("", True, "stop")
        full = turn.said == turn.limit
        return Step(turn.words[turn.said - 1], full, "length" if full else None)

    def _spend(self, call: str, items: Sequence[object]) -> None:
        assert items
        self.calls.append((call, len(items)))
        self.clock.advance(self.cost[call])


class FakeLink:
    """Stands for one engine process: records what is sent, lets the test say what comes back."""

    INFO = EngineInfo("fake", "cpu", 12, 6, (168, 168), 4096, 0.3, 1, 8, 64.0, 512)

    def __init__(self, receive: Callable[[Reply], None], may_load: asyncio.Event) -> None:
        self.receive = receive
        self.refusal: Exception | None = None
        self._may_load = may_load
        self.sent: list[Command] = []
        self.lost = asyncio.Event()
        self.prepared = asyncio.Event()
        self.backed_up = False
        self.paused = False
        self.silent_s = 0.0
        self.pid = 1

    def prepare(self, niceness: int) -> None:
        self.sent.append(Prepare(niceness))

    async def load(self) -> EngineInfo:
        await self._may_load.wait()
        if self.refusal is not None:
            raise self.refusal
        return self.INFO

    def send(self, message: Command) -> None:
        self.sent.append(message)

    def pause(self, paused: bool) -> None:
        self.paused = paused

    def silence(self) -> float:
        return self.silent_s

    def kill(self) -> None:
        self.lost.set()

    async def end(self, patience_s: float) -> int:
        self.lost.set()
        return -9


class Spawner:
    """Hands out a new :class:`FakeLink` for each process that would be started.

    Attributes:
        open: cleared to keep processes from loading their model.
        refusals: what the next processes answer instead of loading it; None for one that loads it.
    """

    def __init__(self) -> None:
        self.links: list[FakeLink] = []
        self.open = asyncio.Event()
        self.open.set()
        self.refusals: list[Exception | None] = []

    async def __call__(self, settings: EngineSettings, receive: Callable[[Reply], None]) -> Any:
        link = FakeLink(receive, self.open)
        if self.refusals:
            link.refusal = self.refusals.pop(0)
        self.links.append(link)
        return link
