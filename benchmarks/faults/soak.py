"""Hours in minutes: cameras that come, ask and go beside one that stays; and one stream that just flows."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.faults.asking import ask, close, patient
from benchmarks.faults.camera import Camera
from benchmarks.faults.outcome import Outcome
from benchmarks.faults.service import Victim
from benchmarks.faults.vitals import Vitals, by_minute, growth, holds_no_more
from benchmarks.faults.watcher import Watcher
from clients.python import Api

_ROUNDS = 3
_ASK_EVERY_S = 10.0
_SPARE = 2
"""Tasks and sockets that may be more at the end: the HTTP client's connections come and go."""
_SETTLE_S = 30.0


async def soak(victim: Victim, clip: Path, minutes: float) -> Outcome:
    """Sessions come and go for ``minutes``: memory is flat after a warm-up, no task, socket or session is left."""
    outcome = Outcome("soak")
    loop = asyncio.get_running_loop()
    rounds = answered = 0
    async with patient(victim.url) as api, Camera(victim.url, clip, "soak-stays") as camera:
        async with Watcher(victim.url, camera.session) as watcher:
            await watcher.type("window.fused")
            async with Vitals(victim, api, minutes) as vitals:
                end = loop.time() + 60 * minutes
                while loop.time() < end or rounds < _ROUNDS:
                    answered += await _round(victim.url, api, clip, rounds)
                    question = await ask(api, camera.session)
                    answered += (await watcher.end_of(question))["type"] == "answer.done"
                    rounds += 1
            left = await vitals.settles(vitals.samples[0], _SPARE, _SETTLE_S)
            open_sessions = (await api.request("GET", "/v1/sessions")).json()["sessions"]
            outcome.check("the source that stays is never lost", not watcher.of("source.lost"))
            outcome.check("no event is lost or doubled", not watcher.faults and not watcher.reconnections)
        await close(api, camera.session)
    outcome.check("every question is answered", answered == 2 * rounds)
    outcome.check("no task or socket is left", holds_no_more(left, vitals.samples[0], _SPARE))
    outcome.check("no session is left", len(open_sessions) == 1)
    outcome.figures |= {"minutes": minutes, "rounds": rounds}
    _judge(outcome, vitals)
    return outcome


async def flow(victim: Victim, clip: Path, minutes: float) -> Outcome:
    """One stream of ``minutes`` with a question every 10 s: memory is flat after a warm-up."""
    outcome = Outcome("one stream")
    loop = asyncio.get_running_loop()
    ends = []
    async with patient(victim.url) as api, Camera(victim.url, clip, "flow") as camera:
        async with Watcher(victim.url, camera.session) as watcher:
            await watcher.type("window.fused")
            async with Vitals(victim, api, minutes) as vitals:
                end = loop.time() + 60 * minutes
                while loop.time() < end:
                    await asyncio.sleep(_ASK_EVERY_S)
                    ends.append(await watcher.end_of(await ask(api, camera.session)))
            outcome.check("the source is never lost", not watcher.of("source.lost"))
            outcome.check("no event is lost or doubled", not watcher.faults and not watcher.reconnections)
            outcome.figures |= {"minutes": minutes, "windows": len(watcher.of("window.fused"))}
        await close(api, camera.session)
    outcome.check("every question is answered", all(end["type"] == "answer.done" for end in ends))
    _judge(outcome, vitals)
    return outcome


def _judge(outcome: Outcome, vitals: Vitals) -> None:
    """Whether the memory of each process was flat, as :mod:`benchmarks.faults.vitals` means it."""
    for process in ("gateway", "engine"):
        grown = growth(vitals.samples, process)
        outcome.check(f"the {process}'s memory is flat", grown.flat)
        outcome.figures |= {
            f"{process}_mib": round(grown.mean_mib, 1),
            f"{process}_growth_mib": round(grown.mib, 1),
            f"{process}_growth_mib_an_hour": round(grown.mib_an_hour, 1),
        }
    outcome.columns = by_minute(vitals.samples)


async def _round(server: str, api: Api, clip: Path, number: int) -> bool:
    """A camera comes, a question is answered, and the session is closed."""
    async with Camera(server, clip, f"soak-{number}") as camera, Watcher(server, camera.session) as watcher:
        await watcher.type("window.fused")
        end = await watcher.end_of(await ask(api, camera.session))
        await close(api, camera.session)
        await watcher.type("session.closed")
    return bool(end["type"] == "answer.done")
