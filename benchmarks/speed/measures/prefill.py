"""The decoder over the minute when all is known at once: all of it by transformers, and pruned as published."""

from __future__ import annotations

from benchmarks.speed.bench import Bench, Row
from benchmarks.speed.floors import Work
from benchmarks.speed.stock import Stock
from pruner import ScheduleError
from pruner.oneshot import Decoding, assemble
from pruner.policies import OmniDrop

STOCK, ONE_SHOT = "stock prefill of the minute", "one-shot OmniDrop prefill"


def rows(bench: Bench) -> list[Row]:
    """Up to the logits of the first token; the towers have run before."""
    stock = Stock(bench.omni, bench.raw[:1])
    layers, count = bench.omni.stack.layers, len(bench.prompted.embeddings)
    work = bench.costs.layers(layers, count) + bench.costs.head()
    whole = bench.watch.typical(lambda: stock.prefill(bench.prompted))
    full = Row.timed(STOCK, whole, floor=bench.floor(work), rows=count, attention=stock.attention)
    return [full, _one_shot(bench)]


def _one_shot(bench: Bench) -> Row:
    """At the retention that was asked for, or the nearest that it can reach."""
    omni, policy = bench.omni, OmniDrop(bench.setting.retention)
    prompted = assemble(omni, bench.encoded, policy.compress(bench.encoded), bench.question)
    asked = prompted.asked(omni.stack.layers)
    try:
        pruner = policy.prune(asked)
    except ScheduleError as error:
        low, high = error.reachable
        policy = OmniDrop(min(max(bench.setting.retention, low), high))
        pruner = policy.prune(asked)
    took = bench.watch.typical(lambda: Decoding(omni.stack, prompted, policy.prune(asked), limit=1))
    rows, work = len(prompted.embeddings), Work(0, 0)
    for dropped in (0, *pruner.drops[:-1]):
        rows -= dropped
        work += bench.costs.layers(1, rows)
    floor = bench.floor(work + bench.costs.head())
    return Row.timed(ONE_SHOT, took, floor=floor, rows=len(prompted.embeddings), retention=policy.retention)
