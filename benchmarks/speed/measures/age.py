"""Time from a known question to its first token, by part, at one age of a session whose budget is fixed."""

from __future__ import annotations

from benchmarks.speed.bench import WINDOWS, Bench, Row
from benchmarks.speed.floors import Work
from benchmarks.speed.served import Served
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
        served = bench.served if self._minutes == COLD else bench.served[:1]
        return [row for one in served for row in self._rows(bench, one)]

    def _rows(self, bench: Bench, served: Served) -> list[Row]:
        conversation = served.open(self._minutes * WINDOWS)
        bench.watch.warm(lambda: served.ask(conversation))
        spent = [served.ask(conversation) for _ in range(bench.setting.repeats)]
        parts = {name: Times.of([one[name] for one in spent]) for name in PARTS}
        total = Times.of([sum(one.values()) for one in spent])
        report, floors = conversation.report(), _floors(bench, served, conversation)
        conversation.close()
        told: dict[str, float | str] = {name: times.median for name, times in parts.items()}
        told |= {"tokens": report.store_tokens, "text_rows": report.text_tokens, "coverage": round(report.coverage, 4)}
        told["past"] = "quick" if bench.setting.quick else "fused"
        whole = sum(floors.values(), Work(0, 0))
        name = TOTAL.format(self._minutes) + served.suffix
        found = [Row.timed(name, total, floor=bench.floor(whole), **told)]
        if self._minutes == COLD:
            for part, times in parts.items():
                floor = bench.floor(floors[part]) if part in floors else None
                found.append(Row.timed(PARTS[part] + served.suffix, times, floor=floor))
        return found


def _floors(bench: Bench, served: Served, conversation: Conversation) -> dict[str, Work]:
    """Work of the parts, from the rows that they really have."""
    facts, costs, store = bench.omni.facts, bench.costs, conversation.store
    question = len(bench.omni.prompt.question(bench.question)) + len(bench.omni.prompt.header)
    past, media = store.length, store.media
    options = served.live.options.turn
    drops = options.solved(facts.layers, facts.fusion_depth, media, store.raw_tokens).drops(media)
    alive, rows = [], past + question
    for layer in range(facts.fusion_depth, facts.layers):
        rows -= drops[layer - 1]
        alive.append(rows)
    sound = round(0.7 * facts.audio_rate)
    return {
        "encode_ms": costs.seen(1) + costs.heard(1),
        "fuse_ms": costs.layers(facts.fusion_depth, facts.video_rate + sound, past),
        "question_ms": costs.layers(facts.fusion_depth, question, past),
        # the last layer is run for one row, but needs the keys and values of all
        "guide_ms": costs.deep(alive[:-1]) + costs.layers(1, 1, alive[-1]) + costs.head(),
    }
