"""A bad network, and a camera that comes and goes."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

from benchmarks.faults.asking import ask, close, patient
from benchmarks.faults.camera import Camera
from benchmarks.faults.outcome import Outcome
from benchmarks.faults.relay import Conditions
from benchmarks.faults.watcher import Watcher
from benchmarks.statistics import percentile

BAD = Conditions(loss=0.05, delay_s=0.100, jitter_s=0.030, bits_per_s=1e6)
WINDOW_S = 2.0
_ASK_EVERY_S = 10.0
_AWAY_S = 20.0
_CUT_S = 8.0


async def bad_network(server: str, clip: Path, minutes: float) -> Outcome:
    """5 % loss, 100 ms ± 30 ms and 1 Mbit/s in both directions: no window is lost, every question is answered."""
    outcome = Outcome("bad network")
    loop = asyncio.get_running_loop()
    questions: list[str] = []
    async with Camera(server, clip, "bad-network", BAD) as camera, patient(server) as api:
        async with Watcher(server, camera.session) as watcher:
            await watcher.type("window.fused")
            began = loop.time()
            while loop.time() - began < 60 * minutes:
                await asyncio.sleep(_ASK_EVERY_S)
                questions.append(await ask(api, camera.session))
            ended = [await watcher.end_of(question) for question in questions]
            spent = loop.time() - began
            source = (await api.request("GET", f"/v1/sessions/{camera.session}")).json()["source"]
            relay = camera.relay
        await close(api, camera.session)
    windows = watcher.of("window.fused")
    full = [bool(window["seen"]["video"] and window["seen"]["audio"]) for window in windows]
    indices = [window["index"] for window in windows]
    outcome.check("no window is missing", indices == list(range(indices[0], indices[0] + len(indices))))
    joined = all(one["end"] == other["start"] for one, other in pairwise(windows))
    outcome.check("each begins where the one before ended", joined)
    outcome.check("they cover the time", sum(w["end"] - w["start"] for w in windows) >= spent - 2 * WINDOW_S)
    # The camera sends a whole picture every 2 s; where part of the first is lost, the first window has none.
    outcome.check("each but the first has picture and sound", all(full[1:]))
    outcome.check("the source is never lost", not watcher.of("source.lost"))
    outcome.check("every question is answered", all(event["type"] == "answer.done" for event in ended))
    waits = [event["ttft_ms"] for event in watcher.of("answer.started")]
    outcome.figures |= {
        "minutes": minutes,
        "windows": len(windows),
        "windows_half_empty": full.count(False),
        "questions": len(questions),
        "ttft_ms_p95": round(percentile(waits, 0.95), 1) if waits else None,
        "datagrams_carried": relay.carried,
        "datagrams_dropped": relay.dropped,
        "packets_lost_for_good": source.get("packets_lost"),
        "frames_undecoded": source.get("undecoded"),
        "av_skew_ms_p95": source.get("av_skew_ms_p95"),
    }
    return outcome


async def coming_back(server: str, clip: Path) -> Outcome:
    """The path is cut for seconds; then the camera is gone, and another takes its place: one session, one memory."""
    outcome = Outcome("coming back")
    camera = Camera(server, clip, "coming-back")
    async with camera, patient(server) as api:
        session = camera.session
        async with Watcher(server, session) as watcher:
            held = (await watcher.until(lambda event: event["type"] == "window.fused" and event["index"] == 3))[
                "store_tokens"
            ]
            camera.relay.is_cut = True
            await watcher.type("source.lost")
            await asyncio.sleep(_CUT_S)
            camera.relay.is_cut = False
            back = await watcher.type("source.back")
            after_cut = await watcher.type("window.fused", watcher.mark)
            outcome.check("a cut path heals by itself", True)
            outcome.check("memory survives the cut", after_cut["store_tokens"] > held and after_cut["coverage"] == 1.0)
            mark, since = watcher.mark, after_cut["end"]
            await camera.vanish()
            lost = await watcher.type("source.lost", mark)
            question = await ask(api, session)
            answered = (await watcher.end_of(question))["type"] == "answer.done"
            outcome.check("it answers from memory meanwhile", answered)
            await asyncio.sleep(_AWAY_S)
            await camera.come()
            outcome.check("the camera rejoins by name", camera.session == session)
            again = await watcher.type("source.back", mark)
            window = await watcher.type("window.fused", watcher.mark)
            outcome.check("memory survives the absence", window["store_tokens"] > held and window["coverage"] == 1.0)
            outcome.check("stream time goes on", window["start"] >= since + _AWAY_S)
            question = await ask(api, session)
            done = await watcher.end_of(question)
            oldest = min((chunk["start"] for chunk in done.get("survivors", [])), default=None)
            outcome.check("answers see what was before", oldest is not None and oldest < since)
            outcome.check("no event lost or doubled", not watcher.faults)
        await close(api, session)
    outcome.figures |= {
        "cut_s": back["gap"],
        "away_s": again["gap"],
        "told_after_s": round(lost["at"] - since, 1),
    }
    return outcome
