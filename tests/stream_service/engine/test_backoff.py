"""How long the gateway waits before it replaces an engine."""

from __future__ import annotations

from stream_service.engine.backoff import HEALTHY_S, LONGEST_S, Backoff


def test_an_accident_is_repaired_at_once() -> None:
    backoff = Backoff(0.5)
    assert [backoff.died(HEALTHY_S) for _ in range(3)] == [0.0, 0.0, 0.0]


def test_quick_deaths_are_met_with_patience() -> None:
    backoff = Backoff(0.5)
    assert [backoff.died(1.0) for _ in range(9)] == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_S, LONGEST_S]


def test_a_healthy_life_is_a_new_beginning() -> None:
    backoff = Backoff(0.5)
    for _ in range(5):
        backoff.died(1.0)
    assert [backoff.died(HEALTHY_S), backoff.died(1.0), backoff.died(0.0)] == [0.0, 0.0, 0.5]
