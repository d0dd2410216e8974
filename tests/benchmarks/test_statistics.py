"""Intervals against published values and against what they must obey."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.statistics import paired_difference, percentile, wilson


@pytest.mark.parametrize(
    ("good", "count", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(good: int, count: int, low: float, high: float) -> None:
    found = wilson(good, count)
    assert found.value == good / count
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)


@given(st.integers(1, 5000).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_wilson_holds_the_share_inside_the_unit_interval(trial: tuple[int, int]) -> None:
    found = wilson(*trial)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


@pytest.mark.parametrize(("good", "count"), [(0, 0), (3, 2), (-1, 2)])
def test_wilson_refuses_what_is_no_share(good: int, count: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson(good, count)


def test_a_paired_difference_without_differences_is_certain() -> None:
    found = paired_difference([(0, 8)] * 20)
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_a_paired_difference_is_of_questions_and_uncertain_by_streams() -> None:
    even = paired_difference([(1, 10)] * 40)
    lumped = paired_difference([(10, 10)] * 4 + [(0, 10)] * 36)
    assert even.value == lumped.value == 0.1
    assert even.low == even.high == 0.1
    assert lumped.low < 0.05
    assert lumped.high > 0.15


def test_a_paired_difference_is_repeatable_and_needs_questions() -> None:
    pairs = [(1, 4), (-1, 4), (2, 4), (0, 3)]
    assert paired_difference(pairs) == paired_difference(pairs)
    with pytest.raises(ValueError, match="no pairs"):
        paired_difference([(0, 0)])


def test_percentiles_are_values_that_were_seen() -> None:
    values = [float(value) for value in range(20, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.95), percentile(values, 1.0)) == (10, 19, 20)
    assert percentile([3.0], 0.5) == 3
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)
