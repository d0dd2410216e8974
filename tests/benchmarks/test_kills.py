"""What the faults benchmark demands of a killed engine."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.faults.kills import _whole, _within_bound
from benchmarks.faults.watcher import Watcher


def watcher(*events: dict[str, Any]) -> Watcher:
    """One that has seen ``events``."""
    seen = Watcher("http://127.0.0.1", "s")
    seen.events = [event | {"seq": seq} for seq, event in enumerate(events, 1)]
    return seen


def fused(count: int) -> list[dict[str, Any]]:
    return [{"type": "window.fused", "index": n, "start": 2.0 * n, "end": 2.0 * (n + 1)} for n in range(count)]


@pytest.mark.parametrize(("last", "holds"), [(None, True), (8, True), (9, False), (39, False)])
def test_the_last_windows_must_survive(last: int | None, holds: bool) -> None:
    lost = [] if last is None else [{"first": last, "last": last}]
    restarted = {"type": "engine.restarted", "at": 80.0, "lost": lost}
    seen = watcher(*fused(40), restarted, *fused(3))
    # 32 windows of 40, less the one whose place the newest media may have taken by then
    assert _within_bound(seen.events[40], seen) is holds


def test_an_answer_is_whole_by_itself() -> None:
    def event(kind: str, text: str) -> dict[str, Any]:
        return {"type": kind, "question": "q", "text": text}

    first, void = event("answer.delta", "a blue"), event("answer.restarted", "a blue")
    again, done = event("answer.delta", "a red."), event("answer.done", "a red.")
    assert _whole(watcher(first, void, again, done), "q")
    assert not _whole(watcher(first, again, done), "q")
    assert not _whole(watcher(first, void, again), "q")
