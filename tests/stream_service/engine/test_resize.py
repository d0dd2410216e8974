"""A budget that changes while the session runs: what the engine does, and what the gateway remembers of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stream_service.engine.client import LocalEngine
from stream_service.engine.messages import (
    Asked,
    Close,
    Closed,
    ErrorFacts,
    Feed,
    NotResized,
    Open,
    Opened,
    Resize,
)
from stream_service.engine.process import Server
from stream_service.engine.settings import EngineSettings
from stream_service.errors import Conflict, EngineUnavailable, InvalidInput, NotFound, OmniDropError, ServerFull
from stream_service.types import (
    AnswerDone,
    EngineRestarted,
    Resized,
    SessionSettings,
    Span,
    StoreEvicted,
)
from tests.stream_service.engine.builders import question, window
from tests.stream_service.engine.rig import Rig
from tests.stream_service.engine.test_loop import Rig as Loop


def seen(windows: int = 3, **settings: object) -> Loop:
    """A session that holds 194 tokens a window."""
    loop = Loop(**settings)  # type: ignore[arg-type]  # the settings' own validation is stricter
    for index in range(windows):
        loop.engine.feed(window(index=index, media=True))
    loop.settle()
    loop.events.clear()
    return loop


def test_a_smaller_budget_evicts_at_once_and_says_so() -> None:
    loop = seen()
    assert loop.engine.resize("a", 200)
    loop.settle()
    assert loop.events == [Resized("a", 200, 200_000, 200, 0.5), StoreEvicted("a", 382, 1, 0.5)]
    assert loop.engine.resize("a", 2048)
    loop.settle()
    assert loop.events[2:] == [Resized("a", 2048, 2_048_000, 200, 0.5)], "with more room nothing leaves"
    assert loop.conversation().budget == 2048


@pytest.mark.parametrize(
    ("session", "budget", "error", "remedy"),
    [
        ("b", 200, NotFound, "Open the session"),
        ("a", 2049, InvalidInput, "at most 2048 tokens"),
        ("a", 71, InvalidInput, "72 tokens or more"),
        ("a", 1025, ServerFull, "fewer tokens"),
    ],
)
def test_a_budget_that_cannot_be_is_refused_with_the_remedy(
    session: str, budget: int, error: type[OmniDropError], remedy: str
) -> None:
    loop = seen()
    loop.free = 1_024_000
    with pytest.raises(error) as refused:
        loop.engine.resize(session, budget)
    assert remedy in refused.value.remedy
    assert refused.value.field == ("budget" if error is InvalidInput else None)
    loop.settle()
    assert (loop.events, loop.conversation().budget) == ([], 2048)


class Wire:
    """The engine's end of a channel: batches of commands in, messages out; then the gateway is gone."""

    def __init__(self, *batches: list[Any]) -> None:
        self.batches = list(batches)
        self.sent: list[Any] = []

    def receive(self, wait: float) -> list[Any]:
        if not self.batches:
            raise EOFError
        return self.batches.pop(0)

    def send(self, message: object) -> None:
        self.sent.append(message)


def test_a_running_answer_is_waited_for() -> None:
    loop = seen()
    told: Any = (Resized, AnswerDone, NotResized, Closed)
    wire: Any = Wire(
        [Asked(question(), (), loop.clock(), loop.clock())],
        [],  # guided: the answer runs
        [Resize("a", 200), Resize("a", 10_000)],
        *[[]] * 6,
        [Asked(question("q2"), (), loop.clock(), loop.clock())],
        [],
        [Resize("a", 300), Close("a")],
        *[[]] * 2,
    )
    with pytest.raises(EOFError):
        Server(wire, loop.engine).serve()
    ends = [message for message in wire.sent if isinstance(message, told)]
    assert [type(end) for end in ends] == [NotResized, AnswerDone, Resized, Closed, NotResized]
    assert ends[0].error.error().remedy == "Ask for at most 2048 tokens."
    assert ends[2].budget == 200
    assert isinstance(ends[4].error.error(), NotFound)


async def resizing(engine: LocalEngine, session: str, budget: int) -> asyncio.Task[Resized]:
    task = asyncio.create_task(engine.resize(session, budget))
    await asyncio.sleep(0)
    return task


async def restarted(rig: Rig) -> EngineRestarted:
    while not isinstance(event := (await rig.next())[0], EngineRestarted):
        pass
    return event


async def test_the_event_comes_before_the_call_returns_and_a_refusal_reaches_the_caller(rig: Rig) -> None:
    await rig.open("a")
    with pytest.raises(NotFound):
        await rig.engine.resize("b", 2048)
    told = asyncio.create_task(rig.next())
    await asyncio.sleep(0)
    task = await resizing(rig.engine, "a", 2048)
    assert rig.link.sent[-1] == Resize("a", 2048)
    with pytest.raises(Conflict, match="already"):
        await rig.engine.resize("a", 1024)
    resized = Resized("a", 2048, 5, 100, 1.0)
    rig.link.receive(resized)
    assert await task == resized
    assert told.done()
    assert told.result() == [resized]
    task = await resizing(rig.engine, "a", 1024)
    rig.link.receive(NotResized("a", ErrorFacts.of(ServerFull("full", remedy="wait", retry_after=2.0))))
    with pytest.raises(ServerFull, match="full"):
        await task


async def test_a_new_process_is_told_the_budget_and_what_it_holds() -> None:
    rig = Rig(EngineSettings(standby=False))  # the fake model: 4096 tokens, 64 a window
    await rig.engine.start()
    await rig.open("a")
    for index in range(66):
        rig.engine.feed(window("a", index))
    task = await resizing(rig.engine, "a", 640)
    rig.link.receive(Resized("a", 640, 5, 100, 1.0))
    await task
    rig.engine.feed(window("a", 66))
    link = await rig.restart()
    assert link.sent[0] == Open("a", SessionSettings(budget=640), rejoin=True)
    assert await restarted(rig) == EngineRestarted("a", 10, (Span(0, 56),))
    task = await resizing(rig.engine, "a", 1280)
    link.receive(Opened("a"))
    link.receive(Resized("a", 1280, 5, 100, 1.0))
    await task
    for index in range(67, 90):
        rig.engine.feed(window("a", index))
    link = await rig.restart()
    assert link.sent[0] == Open("a", SessionSettings(budget=1280), rejoin=True)
    assert await restarted(rig) == EngineRestarted("a", 20, (Span(57, 69),))
    assert not any(isinstance(message, Resize) for message in link.sent)
    assert isinstance(link.sent[1], Feed)
    await rig.engine.stop(drain_s=0)


@pytest.mark.parametrize(
    ("how", "error"), [("crash", EngineUnavailable), ("close", NotFound), ("close meanwhile", NotFound)]
)
async def test_a_change_that_never_comes_to_be_is_refused(rig: Rig, how: str, error: type[OmniDropError]) -> None:
    await rig.open("a")
    task = await resizing(rig.engine, "a", 2048)
    if how == "close":
        closing = asyncio.create_task(rig.engine.close("a"))
        await asyncio.sleep(0)
        rig.link.receive(Closed("a"))
        await closing
    else:
        await rig.crash()
        with pytest.raises(EngineUnavailable):
            await rig.engine.resize("a", 1024)
        if how == "close meanwhile":
            await rig.engine.close("a")
    with pytest.raises(EngineUnavailable if how == "close meanwhile" else error):
        await task
    if how == "crash":
        assert (await rig.recover()).sent[0] == Open("a", SessionSettings(), rejoin=True)
