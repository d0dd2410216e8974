"""Windows a second of one device, the memories of all sessions full."""

from __future__ import annotations

from benchmarks.speed.bench import WINDOWS, Bench, Row
from benchmarks.speed.served import Served
from benchmarks.speed.stopwatch import Times

WINDOWS_A_SECOND = "windows a second"
_PAIRS = 3
"""Pairs of windows that are timed: windows alternate in size."""
_WARM = 2


def rows(bench: Bench) -> list[Row]:
    """Encoded and fused in one batch of all sessions; the best number of sessions counts."""
    return [_row(bench, served) for served in bench.served]


def _row(bench: Bench, served: Served) -> Row:
    found = {sessions: _milliseconds(bench, served, sessions) for sessions in bench.setting.sessions}
    rates = {sessions: 1e3 * sessions / ms.median for sessions, ms in found.items()}
    best = max(rates, key=lambda sessions: rates[sessions])
    parts: dict[str, float | str] = {f"{sessions} at once": rate for sessions, rate in rates.items()}
    parts["sessions served"] = rates[best] * bench.omni.facts.window_seconds
    return Row(WINDOWS_A_SECOND + served.suffix, rates[best], "1/s", parts=parts)


def _milliseconds(bench: Bench, served: Served, sessions: int) -> Times:
    """Of one window of each session, mean of the two of a pair."""
    past = _full(bench)
    conversations = [served.open(past, quick=True) for _ in range(sessions)]
    took = []
    for pair in range(_WARM + _PAIRS):
        laps = bench.watch.laps()
        for half in range(2):
            raw = bench.raw[(2 * pair + half) % WINDOWS]
            encoded = served.live.encode([(one, raw) for one in conversations])
            served.live.fuse(list(zip(conversations, encoded, strict=True)))
            laps.mark("window")
        took.append(sum(ms for _, ms in laps.done()) / 2)
    for one in conversations:
        one.close()
    return Times.of(took[_WARM:])


def _full(bench: Bench) -> int:
    """Windows, an even number, after which a memory is at its budget."""
    facts = bench.omni.facts
    # of four temporal patches one is kept whole and at least a sixth of the others; of sound 70 %
    kept = facts.window_seconds * (0.375 * facts.video_rate + 0.68 * facts.audio_rate)
    return 2 * (1 + int(bench.setting.budget / kept) // 2)
