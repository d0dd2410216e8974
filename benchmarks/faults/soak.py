"""Hours in minutes: cameras come, ask and go, again and again, beside one that stays."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.faults.asking import ask, close
from benchmarks.faults.camera import Camera
from benchmarks.faults.outcome import Outcome
from benchmarks.faults.service import Victim
from benchmarks.faults.watcher import Watcher
from clients.python import Api

_WARM_ROUNDS = 2
_MIB = 2**20
_FLAT_MIB = 48.0
"""Growth that counts as flat: allocators and caches settle; a leak of one session a round would be hundreds."""


async def soak(victim: Victim, clip: Path, minutes: float) -> Outcome:
    """Sessions come and go for ``minutes``: memory is flat after a few rounds, and no socket or session is left."""
    outcome = Outcome("soak")
    loop = asyncio.get_running_loop()
    resident: list[int] = []
    answered = 0
    async with Api(victim.url) as api, Camera(victim.url, clip, "soak-stays") as camera:
        async with Watcher(victim.url, camera.session) as watcher:
            await watcher.type("window.fused")
            sockets, end = victim.sockets, loop.time() + 60 * minutes
            while loop.time() < end or len(resident) <= _WARM_ROUNDS:
                answered += await _round(victim.url, api, clip, len(resident))
                question = await ask(api, camera.session)
                answered += (await watcher.end_of(question))["type"] == "answer.done"
                resident.append(victim.resident_bytes)
            await asyncio.sleep(2.0)
            left = victim.sockets
            open_sessions = (await api.request("GET", "/v1/sessions")).json()["sessions"]
            outcome.check("the source that stays is never lost", not watcher.of("source.lost"))
            outcome.check("no event is lost or doubled", not watcher.faults and not watcher.reconnections)
        await close(api, camera.session)
    rounds = len(resident)
    growth = (max(resident[-_WARM_ROUNDS:]) - resident[_WARM_ROUNDS]) / _MIB
    outcome.check("every question is answered", answered == 2 * rounds)
    outcome.check("memory is flat", growth < _FLAT_MIB)
    outcome.check("no socket is left", left <= sockets + 2)  # the HTTP client's connections come and go
    outcome.check("no session is left", len(open_sessions) == 1)
    outcome.figures |= {
        "minutes": minutes,
        "rounds": rounds,
        "resident_mib": round(resident[-1] / _MIB, 1),
        "growth_mib": round(growth, 1),
        "sockets_before": sockets,
        "sockets_after": left,
    }
    return outcome


async def _round(server: str, api: Api, clip: Path, number: int) -> bool:
    """A camera comes, a question is answered, and the session is closed."""
    async with Camera(server, clip, f"soak-{number}") as camera, Watcher(server, camera.session) as watcher:
        await watcher.type("window.fused")
        end = await watcher.end_of(await ask(api, camera.session))
        await close(api, camera.session)
        await watcher.type("session.closed")
    return bool(end["type"] == "answer.done")
