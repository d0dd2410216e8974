"""While the stream flows: a window through the towers and into a full memory, against its length."""

from __future__ import annotations

from itertools import cycle

from benchmarks.speed.bench import WINDOWS, Bench, Row
from benchmarks.speed.served import Served
from benchmarks.speed.stopwatch import Times

ENCODE, FUSE, RATIO = "encode a window", "fuse a window", "encode and fuse a window ÷ its length"
_PAST = 2 * WINDOWS


def rows(bench: Bench) -> list[Row]:
    """One session, its memory full. Windows alternate in size: times are means of two in turn."""
    return [row for served in bench.served for row in _rows(bench, served)]


def _rows(bench: Bench, served: Served) -> list[Row]:
    conversation = served.open(_PAST)
    raw, encoded = cycle(bench.raw), served.stream(10**9, first=_PAST)
    encode = bench.watch.typical(lambda: served.live.encode([(conversation, next(raw))]))

    def two() -> None:
        for _ in range(2):
            served.live.fuse([(conversation, next(encoded))])

    both = bench.watch.typical(two)
    fuse = Times(both.median / 2, both.low / 2, both.high / 2, both.count)
    store, facts = conversation.store, bench.omni.facts
    seconds, past = facts.window_seconds, store.length
    # of four temporal patches one is kept whole and a fifth of the others; of sound 70 %
    rows = round(seconds * (0.4 * facts.video_rate + 0.7 * facts.audio_rate))
    conversation.close()
    seen = bench.floor(bench.costs.seen(seconds) + bench.costs.heard(seconds))
    fused = bench.floor(bench.costs.layers(facts.fusion_depth, rows, past))
    return [
        Row.timed(ENCODE + served.suffix, encode, floor=seen),
        Row.timed(FUSE + served.suffix, fuse, floor=fused, past=past),
        Row(RATIO + served.suffix, (encode.median + fuse.median) / (1e3 * seconds), ""),
    ]
