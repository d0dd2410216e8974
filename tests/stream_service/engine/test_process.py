"""The real engine process, on a tiny model with random weights: answers, crashes, refusals, ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psutil
import pytest
import torch

from nano_omni.build import build
from pruner import Ask, LiveModel, RawWindow, TurnOptions
from stream_service.engine import spares
from stream_service.engine.client import EngineState, LocalEngine
from stream_service.engine.model import load
from stream_service.engine.settings import EngineSettings
from stream_service.errors import InvalidConfig, InvalidInput, StartupError
from stream_service.types import (
    AnswerCancelled,
    AnswerDelta,
    AnswerDone,
    AnswerRestarted,
    AnswerStarted,
    CancelReason,
    EngineEvent,
    EngineFault,
    EngineRestarted,
    Resized,
    SessionSettings,
    Span,
    StoreEvicted,
    Window,
    WindowFused,
)
from tests.stream_service.engine.builders import question

pytestmark = pytest.mark.default
E = TypeVar("E", bound=EngineEvent)
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tiny-model")
    build(directory, tiny=True)
    return directory


def media(index: int, session: str = "a", seconds: int = 2) -> Window:
    """A window of noise, the same for the same index."""
    draws = np.random.default_rng(index)
    frames = draws.integers(0, 256, (2 * seconds, 168, 168, 3), dtype=np.uint8)
    samples = draws.uniform(-0.1, 0.1, 16_000 * seconds).astype(np.float32)
    return Window(session, index, 2.0 * index, 2.0 * index + seconds, frames, samples)


class Running:
    def __init__(self, engine: LocalEngine) -> None:
        self.engine = engine
        self._events = engine.events()
        self.seen: list[EngineEvent] = []

    async def until(self, kind: type[E], **facts: Any) -> E:
        """The next event of ``kind`` with ``facts``; those before it are kept in ``seen``."""
        async with asyncio.timeout(60):
            async for event in self._events:
                self.seen.append(event)
                if isinstance(event, kind) and all(getattr(event, name) == fact for name, fact in facts.items()):
                    return event
        raise AssertionError(f"the events ended without {kind.__name__}")


@asynccontextmanager
async def running(weights: Path, **settings: Any) -> AsyncIterator[Running]:
    defaults = {"model": str(weights), "threads": 1, "budget": 512, "max_answer_tokens": 8, "standby": False}
    engine = LocalEngine(EngineSettings.model_validate(defaults | settings))
    await engine.start()
    try:
        yield Running(engine)
    finally:
        await engine.stop(drain_s=0)


async def test_the_answer_is_the_models_own(weights: Path) -> None:
    torch.set_num_threads(1)
    model = LiveModel.load(weights)
    conversation = model.open(budget=512)
    for index in range(2):
        window = media(index)
        (encoded,) = model.encode([(conversation, RawWindow(window.start, window.frames, window.samples))])
        model.fuse([(conversation, encoded)])
    (turn,) = model.guide([Ask(conversation, "what?", TurnOptions(max_tokens=8))])
    while not model.step([turn])[0].done:
        pass
    async with running(weights) as run:
        await run.engine.open("a", SessionSettings())
        run.engine.feed(media(0))
        run.engine.ask(question(), [media(1)])
        done = await run.until(AnswerDone)
    assert done.text == turn.text
    assert "".join(event.text for event in run.seen if isinstance(event, AnswerDelta)) == turn.text
    report = turn.report()
    assert list(done.tokens_per_layer) == report.tokens_per_layer
    assert [(each.start, each.end) for each in done.survivors] == [(0.0, 2.0), (2.0, 4.0)]
    started = next(event for event in run.seen if isinstance(event, AnswerStarted))
    assert 0 < started.ttft_ms <= done.timings_ms["total"]
    parts = sum(done.timings_ms[part] for part in ("queue", "encode", "fuse", "guide", "decode"))
    assert parts == pytest.approx(done.timings_ms["total"], abs=5)


async def test_kill_dash_nine(weights: Path) -> None:
    async with running(weights, max_answer_tokens=1000, refeed_windows=2) as run:
        for session in "ab":
            await run.engine.open(session, SessionSettings())
        for index in range(3):
            run.engine.feed(media(index))
        run.engine.ask(question(), [])
        await run.until(AnswerDelta)
        first = run.engine.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        restarted = await run.until(AnswerRestarted)
        published = "".join(event.text for event in run.seen if isinstance(event, AnswerDelta))
        assert restarted == AnswerRestarted("a", "q", published)
        run.engine.ask(question("meanwhile", "b"), [media(0, "b")])
        assert await run.until(EngineRestarted, session="a") == EngineRestarted("a", 2, (Span(0, 0),))
        assert await run.until(EngineRestarted, session="b") == EngineRestarted("b", 1)
        again = {(await run.until(AnswerStarted)).question for _ in range(2)}
        assert again == {"q", "meanwhile"}
        refed = [(event.session, event.index) for event in run.seen if isinstance(event, WindowFused)]
        assert refed[:3] == [("a", 0), ("a", 1), ("a", 2)]
        assert sorted(refed[3:]) == [("a", 1), ("a", 2), ("b", 0)]
        second = run.engine.pid
        assert second not in (first, None)
        os.kill(second, signal.SIGKILL)
        cancelled = await run.until(AnswerCancelled, question="q")
        assert cancelled.reason is CancelReason.ENGINE_LOST
        await run.until(AnswerStarted, question="meanwhile")
        run.engine.cancel("b", "meanwhile", CancelReason.BARGE_IN)
        await run.until(AnswerCancelled, question="meanwhile")


async def test_a_spare_rebuilds_a_memory_that_answers_as_the_first_one_did(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spares, "NICENESS", 0)
    answers = []
    async with running(weights, standby=True) as run:
        await run.engine.open("a", SessionSettings())
        for index in range(3):
            run.engine.feed(media(index))
        run.engine.ask(question("q0"), [])
        answers.append(await run.until(AnswerDone))
        spare = run.engine._spares._spare
        assert spare is not None
        await asyncio.wait_for(spare.prepared.wait(), 60)
        assert run.engine.pid is not None
        os.kill(run.engine.pid, signal.SIGKILL)
        await run.until(EngineRestarted)
        assert run.engine.pid == spare.pid
        assert psutil.Process(spare.pid).name() == "omnidrop-engine"
        run.engine.ask(question("q1"), [])
        answers.append(await run.until(AnswerDone))
    first, second = answers
    assert (second.text, second.survivors) == (first.text, first.survivors)


async def test_a_stopped_process_is_replaced(weights: Path) -> None:
    async with running(weights, hang_s=2) as run:
        await run.engine.open("a", SessionSettings())
        first = run.engine.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        await run.until(EngineRestarted, session="a")
        assert run.engine.pid != first
        assert not psutil.pid_exists(first)


async def test_stop_lets_the_answer_finish(weights: Path) -> None:
    async with running(weights, max_answer_tokens=64) as run:
        await run.engine.open("a", SessionSettings())
        run.engine.ask(question(), [media(0)])
        await run.until(AnswerStarted)
        pid = run.engine.pid
        await run.engine.stop(drain_s=30)
        await run.until(AnswerDone)
        assert pid is not None
        assert not psutil.pid_exists(pid)
        assert run.engine.state is EngineState.STOPPED


async def test_stop_does_not_wait_longer_than_told(weights: Path) -> None:
    async with running(weights, max_answer_tokens=1000) as run:
        await run.engine.open("a", SessionSettings())
        run.engine.ask(question(), [media(0)])
        await run.until(AnswerStarted)
        await run.engine.stop(drain_s=0)
        assert (await run.until(AnswerCancelled)).reason is CancelReason.SHUTDOWN


async def test_what_a_session_may_not_wish_for(weights: Path) -> None:
    async with running(weights) as run:
        with pytest.raises(InvalidInput, match="budget"):
            await run.engine.open("a", SessionSettings(budget=10))
        await run.engine.open("a", SessionSettings(retention=0.001))
        run.engine.ask(question(), [media(0)])
        fault = await run.until(EngineFault)
        assert fault.question == "q"
        assert fault.remedy.startswith("Ask for retention between 0.")
        run.engine.feed(Window("a", 1, 2.0, 4.0, np.zeros((3, 8, 8, 3), np.uint8), None))
        assert (await run.until(EngineFault)).code == "invalid_input"
        await run.engine.close("a")


async def test_a_budget_changes_while_the_stream_runs_and_outlives_the_process(weights: Path) -> None:
    async with running(weights, refeed_windows=8) as run:
        whole = await run.engine.open("a", SessionSettings())
        for index in range(8):
            run.engine.feed(media(index))
        full = await run.until(WindowFused, index=7)
        assert full.store_tokens > 200
        run.engine.ask(question(), [])
        await run.until(AnswerStarted)
        less = await run.engine.resize("a", 200)
        assert (less.budget, less.store_tokens <= 200, less.session_bytes < whole) == (200, True, True)
        assert await run.until(Resized) == less
        assert any(isinstance(event, AnswerDone) for event in run.seen), "a running answer is waited for"
        assert (await run.until(StoreEvicted)).tokens == full.store_tokens - less.store_tokens
        run.engine.feed(media(8))
        assert (await run.until(WindowFused, index=8)).store_tokens <= 200
        assert run.engine.pid is not None
        os.kill(run.engine.pid, signal.SIGKILL)
        await run.until(EngineRestarted)
        assert (await run.until(WindowFused, index=8)).store_tokens <= 200
        more = await run.engine.resize("a", 512)
        assert (more.store_tokens <= 200, more.session_bytes) == (True, whole)
        for index in range(9, 13):
            run.engine.feed(media(index))
        assert (await run.until(WindowFused, index=12)).store_tokens > 200
        run.engine.ask(question("last"), [])
        await run.until(AnswerDone, question="last")


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"deep_share": 0.01, "schedule": "sigmoid"}, InvalidConfig, r"reachable is 0\.[0-9]+ to 1"),
        ({"fusion_depth": 99}, InvalidConfig, "fusion_depth"),
        ({"budget": 64}, InvalidConfig, "budget"),
        ({"max_sessions": 4096, "budget": 1_000_000}, InvalidConfig, "sessions need .* GiB"),
        ({"device": "cuda"}, StartupError, "no GPU"),
    ],
)
def test_what_cannot_be_served_is_refused_at_the_start(
    weights: Path, wrong: dict[str, Any], error: type[Exception], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # nor on a machine that has one
    settings = EngineSettings.model_validate({"model": str(weights), "threads": 1, "budget": 512} | wrong)
    with pytest.raises(error, match=words) as caught:
        load(settings, time.monotonic)
    assert getattr(caught.value, "remedy", "")


async def test_a_refusal_reaches_the_gateway() -> None:
    with pytest.raises(StartupError, match="/nowhere"):
        async with running(Path("/nowhere")):
            pass


def test_the_engine_dies_with_the_gateway(weights: Path) -> None:
    program = f"""
import asyncio
from stream_service.engine.client import LocalEngine
from stream_service.engine.model import load
from stream_service.engine.settings import EngineSettings

async def main():
    engine = LocalEngine(EngineSettings(model={str(weights)!r}, threads=1, budget=512))
    await engine.start()
    print(engine.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        engine = psutil.Process(int(gateway.stdout.readline()))
        gateway.kill()
        psutil.wait_procs([engine], timeout=60)
        assert not engine.is_running() or engine.status() == psutil.STATUS_ZOMBIE
