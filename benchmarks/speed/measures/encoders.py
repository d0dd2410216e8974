"""The towers over the minute at once, transformers' and ours, and transformers' over a window alone.

Ours over a window alone is a row of `window`, as it is served.
"""

from __future__ import annotations

from benchmarks.speed.bench import WINDOWS, Bench, Row
from benchmarks.speed.stock import Stock
from pruner.encoder import StreamState, WindowEncoder

STOCK = "stock {} encoder, {}"
MINUTE, ALONE = f"{WINDOWS} windows", "a window alone"
OURS = f"encoders, {MINUTE} of as many streams"


def rows(bench: Bench) -> list[Row]:
    """Ours encodes both modalities of a window together, the mel spectrogram and the scaling of pictures included."""
    found, seconds = [], bench.omni.facts.window_seconds
    for windows, name in ((WINDOWS, MINUTE), (1, ALONE)):
        stock = Stock(bench.omni, bench.raw[:windows])
        seen, heard = bench.costs.seen(windows * seconds), bench.costs.heard(seconds, windows)
        times = bench.watch.typical(stock.see), bench.watch.typical(stock.hear)
        found.append(Row.timed(STOCK.format("vision", name), times[0], floor=bench.floor(seen)))
        found.append(Row.timed(STOCK.format("audio", name), times[1], floor=bench.floor(heard)))
    encoder = WindowEncoder(bench.omni)
    items = [(StreamState(), window) for window in bench.raw]  # as of streams that were heard before
    work = bench.costs.seen(WINDOWS * seconds) + bench.costs.heard(seconds, WINDOWS)
    ours = bench.watch.typical(lambda: encoder.encode(items))
    return [*found, Row.timed(OURS, ours, floor=bench.floor(work))]
