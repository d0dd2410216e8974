"""While the stream flows: a window through the towers and into a full memory, against its length."""

from __future__ import annotations

from itertools import cycle

from benchmarks.speed.bench import WINDOWS, Bench, Row

NAME = "window"


def rows(bench: Bench) -> list[Row]:
    """Encode and fuse one window, each at its median, the session's memory full."""
    conversation = bench.open()
    raw, encoded = cycle(bench.raw), bench.stream(10**9, first=2 * WINDOWS)
    bench.feed(conversation, 2 * WINDOWS)
    encode = bench.typical_ms(lambda: bench.model.encode([(conversation, next(raw))]))
    fuse = bench.typical_ms(lambda: bench.model.fuse([(conversation, next(encoded))]))
    conversation.close()
    length = 1e3 * bench.model.facts.window_seconds
    parts = {"encode_ms": encode, "fuse_ms": fuse}
    return [
        Row("encode and fuse a window ÷ its length", (encode + fuse) / length, target=0.25, parts=parts),
        Row("windows a second, one stream at a time", 1e3 / (encode + fuse), unit="1/s"),
    ]
