"""One more token of an answer, at the minute."""

from __future__ import annotations

from benchmarks.speed.bench import WINDOWS, Bench, Row
from benchmarks.speed.stopwatch import Times
from pruner import Conversation

STEP = "decode step at the minute"
_STEPS = 4
"""Steps that are timed for each repeat that was asked for."""
_TRIES = 100


def rows(bench: Bench) -> list[Row]:
    """Tokens after the first, whose logits come with guiding."""
    conversation = bench.open(WINDOWS)
    took: list[float] = []
    wanted = _STEPS * bench.setting.repeats
    for _ in range(_TRIES):
        took += _answer(bench, conversation, wanted - len(took))
        if len(took) >= wanted:
            break
    facts, store = bench.omni.facts, conversation.store
    deep = facts.layers - facts.fusion_depth
    drops = bench.live.options.turn.solved(facts.layers, facts.fusion_depth, store.media, store.raw_tokens)
    alive = store.length - store.media + sum(drops.alive(store.media)[facts.fusion_depth :]) // deep
    work = bench.costs.layers(facts.fusion_depth, 1, store.length) + bench.costs.layers(deep, 1, alive)
    conversation.close()
    return [Row.timed(STEP, Times.of(took), floor=bench.floor(work + bench.costs.head()))]


def _answer(bench: Bench, conversation: Conversation, steps: int) -> list[float]:
    """Milliseconds of so many steps, or as many as the answer is long; the first ones of it warm up."""
    turn = bench.guide(conversation)
    ended = bench.live.step([turn]).pop().done or bench.live.step([turn]).pop().done
    laps = bench.watch.laps()
    for _ in range(steps):
        if ended:
            break
        ended = bench.live.step([turn]).pop().done
        laps.mark("step")
    spent = [ms for _, ms in laps.done()]
    bench.live.commit(turn, published=0)
    return spent
