"""The towers, transformers' and ours, over a window alone and over the minute at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.speed.bench import WINDOWS, Bench, Row
from benchmarks.speed.stock import Stock
from pruner import RawWindow
from pruner.encoder import HearingState, WindowEncoder

STOCK = "stock {} encoder, {}"
OURS = "encoders, {}"
MINUTE, ALONE = f"{WINDOWS} windows", "a window alone"


def rows(bench: Bench) -> list[Row]:
    """Ours encodes both modalities of a window together, the mel spectrogram and the scaling of pictures included."""
    encoder, found = WindowEncoder(bench.omni), []
    for windows, name in ((WINDOWS, MINUTE), (1, ALONE)):
        raw = bench.raw[:windows]
        stock, seconds = Stock(bench.omni, raw), bench.omni.facts.window_seconds
        seen, heard = bench.costs.seen(windows * seconds), bench.costs.heard(seconds, windows)
        whole = bench.watch.typical(stock.see), bench.watch.typical(stock.hear)
        found.append(Row.timed(STOCK.format("vision", name), whole[0], floor=bench.floor(seen)))
        found.append(Row.timed(STOCK.format("audio", name), whole[1], floor=bench.floor(heard)))
        ours = bench.watch.typical(_encoding(encoder, raw))
        found.append(Row.timed(OURS.format(name), ours, floor=bench.floor(seen + heard)))
    return found


def _encoding(encoder: WindowEncoder, raw: Sequence[RawWindow]) -> Callable[[], object]:
    """As windows of as many streams that have been heard before."""
    items = [(HearingState(), window) for window in raw]
    return lambda: encoder.encode(items)
