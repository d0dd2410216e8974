"""Windows a second of one device, the memories of all sessions full."""

from __future__ import annotations

from benchmarks.speed.bench import WINDOWS, Bench, Row
from benchmarks.speed.stopwatch import Times

WINDOWS_A_SECOND = "windows a second"
_PAIRS = 3
"""Pairs of windows that are timed: windows alternate in size."""


def rows(bench: Bench) -> list[Row]:
    """Encoded and fused in one batch of all sessions; the best number of sessions counts."""
    found = {sessions: _milliseconds(bench, sessions) for sessions in bench.setting.sessions}
    rates = {sessions: 1e3 * sessions / ms.median for sessions, ms in found.items()}
    best = max(rates, key=lambda sessions: rates[sessions])
    parts: dict[str, float | str] = {f"{sessions} at once": rate for sessions, rate in rates.items()}
    seconds = bench.omni.facts.window_seconds
    return [Row(WINDOWS_A_SECOND, rates[best], "1/s", parts=parts | {"sessions served": rates[best] * seconds})]


def _milliseconds(bench: Bench, sessions: int) -> Times:
    """Of one window of each session, mean of the two of a pair."""
    past = _full(bench)
    conversations = [bench.open(past, quick=True) for _ in range(sessions)]
    took = []
    for pair in range(1 + _PAIRS):
        laps = bench.watch.laps()
        for half in range(2):
            raw = bench.raw[(2 * pair + half) % WINDOWS]
            encoded = bench.live.encode([(one, raw) for one in conversations])
            bench.live.fuse(list(zip(conversations, encoded, strict=True)))
            laps.mark("window")
        took.append(sum(ms for _, ms in laps.done()) / 2)
    for one in conversations:
        one.close()
    return Times.of(took[1:])


def _full(bench: Bench) -> int:
    """Windows, an even number, after which a memory is at its budget."""
    facts = bench.omni.facts
    # of four temporal patches one is kept whole and at least a sixth of the others; of sound 70 %
    kept = facts.window_seconds * (0.375 * facts.video_rate + 0.68 * facts.audio_rate)
    return 2 * (1 + int(bench.setting.budget / kept) // 2)
