"""One more token of an answer, at the minute."""

from __future__ import annotations

from benchmarks.speed.bench import WINDOWS, Bench, Row
from benchmarks.speed.served import Served
from benchmarks.speed.stopwatch import Times
from pruner import Conversation

STEP = "decode step at the minute"
_STEPS = 4
"""Steps that are timed for each repeat that was asked for."""
_WARM = 4
"""Steps of an answer that do not count: the first token comes with guiding, and the next ones may record a graph."""
_TRIES = 100


def rows(bench: Bench) -> list[Row]:
    """From one token that was read to the next."""
    return [_row(bench, served) for served in bench.served]


def _row(bench: Bench, served: Served) -> Row:
    conversation = served.open(WINDOWS)
    took: list[float] = []
    wanted = _STEPS * bench.setting.repeats
    for _ in range(_TRIES):
        took += _answer(bench, served, conversation, wanted - len(took))
        if len(took) >= wanted:
            break
    facts, store = bench.omni.facts, conversation.store
    deep = facts.layers - facts.fusion_depth
    schedule = served.live.options.turn.solved(facts.layers, facts.fusion_depth, store.media, store.raw_tokens)
    alive = store.length - store.media + sum(schedule.alive(store.media)[facts.fusion_depth :]) // deep
    work = bench.costs.layers(facts.fusion_depth, 1, store.length) + bench.costs.layers(deep, 1, alive)
    conversation.close()
    return Row.timed(STEP + served.suffix, Times.of(took), floor=bench.floor(work + bench.costs.head()))


def _answer(bench: Bench, served: Served, conversation: Conversation, steps: int) -> list[float]:
    """Milliseconds of so many steps, or of fewer where the answer is shorter."""
    turn = served.guide(conversation)
    laps = bench.watch.laps()
    for _ in range(_WARM + steps):
        ended = served.live.step([turn])[0].done
        laps.read("step")
        if ended:
            break
    spent = [ms for _, ms in laps.done()]
    served.live.commit(turn, published=0)
    return spent[_WARM:]
