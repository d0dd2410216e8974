"""kill -9 of the engine and of the gateway, each in the middle of an answer, again and again."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.faults.asking import ask, close
from benchmarks.faults.camera import Camera
from benchmarks.faults.outcome import Outcome
from benchmarks.faults.service import Victim, gone
from benchmarks.faults.watcher import Event, Watcher, read_log
from benchmarks.statistics import percentile
from clients.python import Api

_ORPHAN_S = 10.0
_HELD = 32
"""Windows of 2 s, all within the memory of the built-in model, that must survive its engine."""


class Scene:
    """Two cameras, each with a watcher: the one whose answers are interrupted, and a bystander."""

    def __init__(self, victim: Victim, clip: Path, name: str) -> None:
        self.victim = victim
        self.cameras = [Camera(victim.url, clip, f"{name}-{who}", seed=at) for at, who in enumerate(("asked", "other"))]
        self.watchers: list[Watcher] = []
        self.questions: list[list[str]] = [[], []]
        self.recovery_s: list[float] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Scene:
        self.api = await self._stack.enter_async_context(Api(self.victim.url))
        for camera in self.cameras:
            await self._stack.enter_async_context(camera)
            watcher = Watcher(self.victim.url, camera.session)
            self.watchers.append(await self._stack.enter_async_context(watcher))
        for watcher in self.watchers:
            await watcher.type("window.fused")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def ask(self, who: int) -> str:
        question = await ask(self.api, self.cameras[who].session)
        self.questions[who].append(question)
        return question

    async def interrupted(self) -> str:
        """Ask, and return when the answer has begun."""
        question = await self.ask(0)
        await self.watchers[0].start_of(question)
        return question

    async def settle(self, outcome: Outcome) -> None:
        """Compare what was seen with the log, and count how questions ended."""
        for camera, watcher, questions in zip(self.cameras, self.watchers, self.questions, strict=True):
            log = await read_log(self.victim.url, camera.session, watcher.events[-1]["seq"])
            seen = [event["seq"] for event in watcher.events]
            outcome.check(
                "no event seen twice or left out", not watcher.faults and seen == list(range(1, len(seen) + 1))
            )
            outcome.check("the log holds exactly what was seen", log == watcher.events[: len(log)])
            ends = watcher.ends()
            outcome.check("every question ends exactly once", all(ends[question] == 1 for question in questions))
            outcome.check("no session ended", not watcher.of("session.closed"))
        for camera in self.cameras:
            await close(self.api, camera.session)


async def engine_killed(victim: Victim, clip: Path, times: int) -> Outcome:
    """The engine dies: the gateway starts another, feeds it what was seen, and asks what was being answered again."""
    outcome = Outcome("engine killed")
    answered_s: list[float] = []
    again = lost = refed = 0
    async with Scene(victim, clip, "engine-killed") as scene:
        asked, other = scene.watchers
        for _ in range(times):
            question = await scene.interrupted()
            marks = [watcher.mark for watcher in scene.watchers]
            began = time.monotonic()
            victim.kill_engine()
            meanwhile = await scene.ask(1)
            restarts = [await asked.type("engine.restarted", marks[0]), await other.type("engine.restarted", marks[1])]
            scene.recovery_s.append(time.monotonic() - began)
            for watcher, restarted in zip(scene.watchers, restarts, strict=True):
                outcome.check(f"memory of the last {_HELD} windows survives", _within_bound(restarted, watcher))
                refed, lost = refed + restarted["windows_refed"], lost + restarted["windows_lost"]
            outcome.check("the interrupted question is answered", await _answered(asked, question))
            answered_s.append(time.monotonic() - began)
            tries = 1 + len([event for event in asked.of("answer.restarted") if event["question"] == question])
            # The answer may have been over when the signal came, however soon that was sent.
            was_over = (await asked.end_of(question))["seq"] < restarts[0]["seq"]
            outcome.check("it is asked again, once", tries == (1 if was_over else 2))
            again += tries - 1
            outcome.check("its answer is whole", _whole(asked, question))
            outcome.check("a question asked meanwhile is answered", await _answered(other, meanwhile))
            for who, watcher in enumerate(scene.watchers):
                outcome.check("both sessions answer afterwards", await _answered(watcher, await scene.ask(who)))
                await watcher.type("window.fused", watcher.mark)
        outcome.check("no source is lost", not any(watcher.of("source.lost") for watcher in scene.watchers))
        await scene.settle(outcome)
        outcome.figures |= {"kills": times, "asked_again": again, "windows_refed": refed, "windows_lost": lost}
        outcome.figures |= _recovery(scene) | {"answered_s_p50": round(percentile(answered_s, 0.5), 2)}
        outcome.figures |= {"answered_s_max": round(max(answered_s), 2)} | _kinds(scene)
    return outcome


async def _answered(watcher: Watcher, question: str) -> bool:
    end = await watcher.end_of(question)
    return bool(end["type"] == "answer.done")


def _within_bound(restarted: Event, watcher: Watcher) -> bool:
    """Whether the windows that fill ``_HELD`` whole ones, up to the newest media at the restart, are fed again."""
    before = [event for event in watcher.of("window.fused") if event["seq"] < restarted["seq"]]
    gone = {index for span in restarted["lost"] for index in range(span["first"], span["last"] + 1)}
    room = 2 * _HELD - math.ceil(restarted["at"] - before[-1]["end"]) - 1
    for event in reversed(before):
        room -= math.ceil(event["end"] - event["start"])  # a window that a question closed early holds whole seconds
        if room < 0:
            return True
        if event["index"] in gone:
            return False
    return True


def _whole(watcher: Watcher, question: str) -> bool:
    """Whether what came since the answer began anew is the whole of it."""
    text = ""
    for event in watcher.events:
        if event.get("question") == question:
            match event["type"]:
                case "answer.restarted":
                    text = ""
                case "answer.delta":
                    text += event["text"]
                case "answer.done":
                    return bool(text == event["text"])
    return False


async def gateway_killed(victim: Victim, clip: Path, times: int) -> Outcome:
    """The gateway dies: it comes back with its sessions, sources rejoin by name, subscribers go on where they were."""
    outcome = Outcome("gateway killed")
    start_s: list[float] = []
    async with Scene(victim, clip, "gateway-killed") as scene:
        sessions = [camera.session for camera in scene.cameras]
        for _ in range(times):
            question = await scene.interrupted()
            marks = [watcher.mark for watcher in scene.watchers]
            began = time.monotonic()
            orphan = await victim.kill()
            await asyncio.gather(*(camera.vanish() for camera in scene.cameras))
            await victim.start_again()
            start_s.append(time.monotonic() - began)
            outcome.check("no engine is left behind", orphan is None or await gone(orphan, _ORPHAN_S))
            await asyncio.gather(*(camera.come() for camera in scene.cameras))
            outcome.check("sources rejoin by name", [camera.session for camera in scene.cameras] == sessions)
            for watcher, mark in zip(scene.watchers, marks, strict=True):
                await watcher.type("window.fused", mark)
            scene.recovery_s.append(time.monotonic() - began)
            await scene.watchers[0].end_of(question)
            for who, watcher in enumerate(scene.watchers):
                done = await watcher.end_of(await scene.ask(who))
                outcome.check("both sessions answer afterwards", done["type"] == "answer.done")
        await scene.settle(outcome)
        outcome.figures |= {"kills": times, "restart_s_p50": round(percentile(start_s, 0.5), 2)} | _recovery(scene)
        outcome.figures |= _kinds(scene) | {"reconnections": sum(watcher.reconnections for watcher in scene.watchers)}
    return outcome


def _recovery(scene: Scene) -> dict[str, float | int | None]:
    times = scene.recovery_s
    return {"recovery_s_p50": round(percentile(times, 0.5), 2), "recovery_s_max": round(max(times), 2)}


def _kinds(scene: Scene) -> dict[str, float | int | None]:
    """How the questions ended."""
    return {
        "questions": sum(map(len, scene.questions)),
        "answered": sum(len(watcher.of("answer.done")) for watcher in scene.watchers),
        "cancelled": sum(len(watcher.of("answer.cancelled")) for watcher in scene.watchers),
    }
