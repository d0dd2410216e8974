"""Time to the first token against the age of a session whose budget is fixed."""

from __future__ import annotations

from benchmarks.speed.bench import WINDOWS, Bench, Row

NAME = "age"
_OLD, _YOUNG = 60, 5
"""Minutes whose ratio has a target."""


def rows(bench: Bench) -> list[Row]:
    """Windows are fused one after the other, as they would come; at each age the session is asked."""
    conversation = bench.model.open(budget=bench.budget)
    found, times, fed = [], {}, 0
    for minute in sorted(bench.minutes):
        bench.feed(conversation, minute * WINDOWS - fed, first=fed)
        fed = minute * WINDOWS
        first = bench.typical_first_token(conversation)
        report = conversation.report()
        times[minute] = first.total
        parts = {"encode_ms": first.encode, "fuse_ms": first.fuse, "guide_ms": first.guide, "first_step_ms": first.step}
        held = {"tokens": report.store_tokens, "text_rows": report.text_tokens, "coverage": round(report.coverage, 4)}
        found.append(Row(f"first token at {minute} min", first.total, unit="ms", parts=parts | held))
    conversation.close()
    if _OLD in times and _YOUNG in times:
        found.append(Row("first token at 60 min ÷ at 5 min", times[_OLD] / times[_YOUNG], target=1.2))
    return found
