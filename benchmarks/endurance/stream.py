"""The stream itself: a camera that never stops, a question now and then, and what became of both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.endurance.device import DeviceMemory, is_flat
from benchmarks.faults.asking import ask
from benchmarks.faults.outcome import Outcome
from benchmarks.faults.service import Victim
from benchmarks.faults.vitals import Vitals, by_minute, growth
from benchmarks.faults.watcher import Event, Watcher
from benchmarks.live.story import Story
from benchmarks.report import progress
from benchmarks.statistics import percentile
from clients.python import Api, Playback, Programme, Publisher, Source

_BEHIND_S = 6.0
"""A window of 2 s, the one that fills meanwhile, and the way there."""
_CATCH_UP_S = 20.0
_WARM_QUESTIONS = 1


async def endure(victim: Victim, clip: Path, *, minutes: float, ask_every_s: float, device: str) -> Outcome:
    """Publish a clip in a loop for `minutes`, ask about it, and check that nothing is lost and nothing grows.

    Raises:
        ClientError: the clip cannot be played, or the server cannot be reached or refuses.
        TimeoutError: no window was fused, or a question did not end.
    """
    outcome = Outcome("endurance")
    playback = Playback(Programme(Source(str(clip)), loop=True))
    async with Api(victim.url) as api, Publisher(api, playback, options={"talk": "off"}) as publisher:
        async with Watcher(victim.url, publisher.session) as watcher:
            await watcher.type("window.fused")
            async with Vitals(victim, api, minutes) as vitals, DeviceMemory(device) as held:
                questions = await _ask_until(api, publisher, watcher, vitals, held, 60 * minutes, ask_every_s)
            kept_up = await _kept_up(watcher, playback.position)
        source = (await api.request("GET", f"/v1/sessions/{publisher.session}")).json()["source"]
    outcome.check("windows keep up with the stream", kept_up)
    _judge(outcome, watcher, questions)
    outcome.figures |= {"minutes": minutes, "packets_lost": int(source.get("packets_lost", 0))}
    _judge_memory(outcome, vitals, held, on_gpu=device != "cpu")
    return outcome


async def _ask_until(
    api: Api, publisher: Publisher, watcher: Watcher, vitals: Vitals, held: DeviceMemory, end_s: float, every_s: float
) -> list[str]:
    """Ids of the questions asked until media second `end_s`, at least one; each ends before the next one is asked."""
    questions: list[str] = []
    while not questions or publisher.playback.position < end_s:
        await publisher.playback.due(min(end_s, publisher.playback.position + every_s))
        questions.append(await ask(api, publisher.session))
        await watcher.end_of(questions[-1])
        now, story = vitals.samples[-1], _story(watcher.events)
        parts = [f"{publisher.playback.position:.0f} s", f"{story.windows} windows, {story.windows_lost} lost"]
        parts += [f"first token {_first_token(watcher, questions[-1])} ms"]
        parts += [f"gateway {now.gateway_mib} MiB, engine {now.engine_mib} MiB"]
        progress("; ".join(parts + [f"device {mib:.0f} MiB" for mib in held.mib[-1:]]))
    return questions


async def _kept_up(watcher: Watcher, until_s: float) -> bool:
    """Whether the windows up to a media second are fused, now or soon."""
    try:
        await watcher.until(
            lambda event: event["type"] == "window.fused" and event["end"] >= until_s - _BEHIND_S, limit_s=_CATCH_UP_S
        )
    except TimeoutError:
        return False
    return True


def _judge(outcome: Outcome, watcher: Watcher, questions: Sequence[str]) -> None:
    """Windows and answers."""
    fused, done, story = watcher.of("window.fused"), watcher.of("answer.done"), _story(watcher.events)
    outcome.check("no window is lost", story.windows_lost == 0)
    outcome.check("every question is answered", {event["question"] for event in done} == set(questions))
    outcome.check("the source is never lost", not watcher.of("source.lost"))
    outcome.check("the server never fell behind", not watcher.of("overload"))
    outcome.check("no event is lost or doubled", not watcher.faults and not watcher.reconnections)
    first = [event["ttft_ms"] for event in watcher.of("answer.started")][_WARM_QUESTIONS:]
    outcome.figures |= {"windows": len(fused), "windows_lost": story.windows_lost, "questions": len(questions)}
    outcome.figures |= {"evicted": sum(event["tokens"] for event in watcher.of("store.evicted"))}
    outcome.figures |= {"store_tokens": fused[-1]["store_tokens"], "coverage": round(fused[-1]["coverage"], 4)}
    outcome.figures |= _spread("ttft_ms", first)
    for part in ("encode", "fuse", "guide"):
        outcome.figures |= _spread(f"answer_{part}_ms", [one["timings_ms"].get(part, 0.0) for one in done])
    for part in ("encode_ms", "fuse_ms"):
        outcome.figures |= _spread(f"window_{part}", [event[part] for event in fused])


def _judge_memory(outcome: Outcome, vitals: Vitals, held: DeviceMemory, *, on_gpu: bool) -> None:
    for process in ("gateway", "engine"):
        grown = growth(vitals.samples, process)
        outcome.check(f"the {process}'s memory is flat", grown.flat)
        outcome.figures |= {f"{process}_mib": round(grown.mean_mib, 1), f"{process}_growth_mib": round(grown.mib, 1)}
    if on_gpu:
        outcome.check("the device's memory is flat", is_flat(held.mib))
        sizes = {"first": held.mib[:1], "last": held.mib[-1:], "most": sorted(held.mib)[-1:]}
        outcome.figures |= {f"device_mib_{name}": mib[0] for name, mib in sizes.items() if mib}
    outcome.columns = by_minute(vitals.samples)


def _story(events: Sequence[Event]) -> Story:
    """Of all events so far; nothing is spoken."""
    story = Story(float("inf"))
    for event in events:
        story.push(event, 0.0)
    return story


def _first_token(watcher: Watcher, question: str) -> str:
    told = [event["ttft_ms"] for event in watcher.of("answer.started") if event["question"] == question]
    return f"{told[-1]:.0f}" if told else "?"


def _spread(name: str, values: Sequence[float]) -> dict[str, float | int | None]:
    """Median and 95th percentile, in tenths."""
    shares = {"p50": 0.5, "p95": 0.95}
    return {f"{name}_{at}": round(percentile(values, share), 1) if values else None for at, share in shares.items()}
