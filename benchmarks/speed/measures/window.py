"""While the stream flows: a window through the towers and into a full memory, against its length."""

from __future__ import annotations

from itertools import cycle

from benchmarks.speed.bench import WINDOWS, Bench, Row
from benchmarks.speed.stopwatch import Times

ENCODE, FUSE, RATIO = "encode a window", "fuse a window", "encode and fuse a window ÷ its length"
_PAST = 2 * WINDOWS


def rows(bench: Bench) -> list[Row]:
    """One session, its memory full. Windows alternate in size: times are means of two in turn."""
    conversation = bench.open(_PAST)
    raw, encoded = cycle(bench.raw), bench.stream(10**9, first=_PAST)
    encode = bench.watch.typical(lambda: bench.live.encode([(conversation, next(raw))]))

    def two() -> None:
        for _ in range(2):
            bench.live.fuse([(conversation, next(encoded))])

    both = bench.watch.typical(two)
    fuse = Times(both.median / 2, both.low / 2, both.high / 2, both.count)
    store, facts = conversation.store, bench.omni.facts
    seconds, past = facts.window_seconds, store.length
    # of four temporal patches one is kept whole and a fifth of the others; of sound 70 %
    rows = round(seconds * (0.4 * facts.video_rate + 0.7 * facts.audio_rate))
    conversation.close()
    length = 1e3 * seconds
    seen = bench.floor(bench.costs.seen(seconds) + bench.costs.heard(seconds))
    fused = bench.floor(bench.costs.layers(facts.fusion_depth, rows, past))
    return [
        Row.timed(ENCODE, encode, floor=seen),
        Row.timed(FUSE, fuse, floor=fused, past=past),
        Row(RATIO, (encode.median + fuse.median) / length, ""),
    ]
