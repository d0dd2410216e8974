"""Time from a known question to its first token, by part, at one age of a session whose budget is fixed."""

from __future__ import annotations

from benchmarks.speed.bench import WINDOWS, Bench, Row
from benchmarks.speed.floors import Work
from benchmarks.speed.stopwatch import Times
from pruner import Conversation

COLD, YOUNG, OLD = 1, 5, 60
"""Minutes whose figures have targets: against asking cold, and against each other."""
TOTAL = "first token at {} min"
PARTS = {
    "encode_ms": "live: encode the last second",
    "fuse_ms": "live: fuse it",
    "question_ms": "live: question through the shallow layers",
    "guide_ms": "live: guide",
    "first_step_ms": "live: first step",
}
"""At the age of `COLD`, each a row of its own."""


class Aged:
    """The measurement at an age in minutes."""

    def __init__(self, minutes: int) -> None:
        self._minutes = minutes

    def __call__(self, bench: Bench) -> list[Row]:
        """Windows came as they come (or see `fill`), then the session is asked again and again."""
        conversation = bench.open(self._minutes * WINDOWS)
        bench.ask(conversation)
        spent = [bench.ask(conversation) for _ in range(bench.setting.repeats)]
        parts = {name: Times.of([one[name] for one in spent]) for name in PARTS}
        report = conversation.report()
        total = Times.of([sum(one.values()) for one in spent])
        floors = _floors(bench, conversation)
        conversation.close()
        held: dict[str, float | str] = {
            "tokens": report.store_tokens,
            "text_rows": report.text_tokens,
            "coverage": round(report.coverage, 4),
            "past": "quick" if bench.setting.quick else "fused",
        }
        medians = {name: times.median for name, times in parts.items()}
        whole = sum((work for work in floors.values()), Work(0, 0))
        found = [Row.timed(TOTAL.format(self._minutes), total, floor=bench.floor(whole), **medians, **held)]
        if self._minutes == COLD:
            found += [
                Row.timed(PARTS[name], times, floor=bench.floor(floors[name]) if name in floors else None)
                for name, times in parts.items()
            ]
        return found


def _floors(bench: Bench, conversation: Conversation) -> dict[str, Work]:
    """Work of the parts, from the rows that they really have."""
    facts, costs, store = bench.omni.facts, bench.costs, conversation.store
    question = len(bench.omni.prompt.question(bench.question)) + len(bench.omni.prompt.header)
    past, media = store.length, store.media
    options = bench.live.options.turn
    drops = options.solved(facts.layers, facts.fusion_depth, media, store.raw_tokens).drops(media)
    alive, rows = [], past + question
    for layer in range(facts.fusion_depth, facts.layers):
        rows -= drops[layer - 1]
        alive.append(rows)
    # the last layer is run for one row, but the keys and values of all
    patch = len(bench.encoded[0].saliency if bench.encoded[0].saliency is not None else ()) // 2
    return {
        "encode_ms": costs.seen(1) + costs.heard(1),
        "fuse_ms": costs.layers(facts.fusion_depth, facts.video_rate + round(0.7 * patch), past),
        "question_ms": costs.layers(facts.fusion_depth, question, past),
        "guide_ms": costs.deep(alive[:-1]) + costs.layers(1, 1, alive[-1]) + costs.head(),
    }
