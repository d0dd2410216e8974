"""Schedules: the paper's figures, and exact counts against an independent reading of Eq. 3, 4 and 6."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pruner.errors import ScheduleError
from pruner.schedule import Constant, Schedule, Sigmoid, live, one_shot, preset, reachable, solve

CURVES: st.SearchStrategy[Sigmoid | Constant] = st.sampled_from(
    [Sigmoid(), Sigmoid(p_init=0.02, t_mid=0.55), Constant()]
)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    layers = draw(st.integers(4, 48))
    curve = draw(CURVES)
    return draw(st.sampled_from([one_shot(layers, curve), live(layers, layers // 2, curve), live(layers, 2, curve)]))


def test_published_7b_setting_retains_30_2_percent_and_29_6_with_floors() -> None:
    assert preset("7b-30").retention(450_000_000, 1_000_000_000) == pytest.approx(0.302, abs=5e-4)
    assert preset("7b-30").retention(4_470, 10_140) == pytest.approx(0.296, abs=5e-4)


def test_closed_form_of_the_paper_misses_its_own_target() -> None:
    assert one_shot(28, Sigmoid(0, 0.146)).retention(450_000_000, 1_000_000_000) == pytest.approx(0.324, abs=5e-4)


@pytest.mark.parametrize(("name", "realised"), [("7b-30", 0.296), ("7b-20", 0.212), ("3b-30", 0.297), ("3b-20", 0.210)])
def test_presets_retain_somewhat_other_than_their_name_says(name: str, realised: float) -> None:
    assert preset(name).retention(4_470, 10_140) == pytest.approx(realised, abs=5e-4)


def test_live_floor_of_the_layer_mean_is_r0_times_depth_over_layers() -> None:
    low, high = reachable(live(28, 14), 4_500, 10_000)
    assert low == pytest.approx(0.225, abs=1e-9)
    assert high == pytest.approx(0.45, abs=1e-9)


def test_counts_follow_the_formula_layer_by_layer() -> None:
    alive, expected = 1_000, [1_000]
    for layer in range(11):
        ratio = 0.02 + (0.5 - 0.02) / (1 + math.exp(-20 * (layer / 12 - 0.5)))
        alive -= int(ratio * alive)
        expected.append(alive)
    schedule = one_shot(12, Sigmoid(0.02, 0.5))
    assert schedule.alive(1_000) == tuple(expected)
    assert schedule.drops(1_000)[-1] == 0
    assert 1_000 - sum(schedule.drops(1_000)) == expected[-1]


def test_live_form_drops_after_the_last_shallow_layer_first() -> None:
    schedule = live(12, 6, Constant(0.5))
    assert schedule.alive(64) == (64,) * 6 + (32, 16, 8, 4, 2, 1)
    assert schedule.deep_share(64) == pytest.approx((32 + 16 + 8 + 4 + 2 + 1) / 6 / 64)


def test_nothing_falls_below_the_floor() -> None:
    assert live(12, 6, Constant(1.0), floor=10).alive(64)[6:] == (10,) * 6
    assert live(12, 6, Constant(1.0), floor=10).alive(7)[6:] == (7,) * 6


@settings(max_examples=50, deadline=None)
@given(
    schedules(),
    st.integers(128, 20_000),
    st.floats(0.1, 1.0),
    st.floats(0, 1),
    st.sampled_from(["retention", "deep_share"]),
)
@example(live(28, 14), 4_470, 0.4408, 0.5, "retention")
def test_any_reachable_target_is_met_within_half_a_point(
    schedule: Schedule, count: int, compression: float, where: float, what: str
) -> None:
    raw = math.ceil(count / compression)
    low, high = reachable(schedule, count, raw, what)  # type: ignore[arg-type]
    target = low + where * (high - low)
    solved = solve(schedule, target, count, raw, what)
    realised = solved.retention(count, raw) if what == "retention" else solved.deep_share(count)
    assert realised == pytest.approx(target, abs=0.005)


@settings(max_examples=30, deadline=None)
@given(schedules(), st.integers(1, 40), st.floats(0, 1))
def test_on_few_tokens_the_nearest_realisable_figure_is_chosen(schedule: Schedule, count: int, where: float) -> None:
    low, high = reachable(schedule, count, count)
    target = low + where * (high - low)
    best = solve(schedule, target, count, count).retention(count, count)
    grid = [one.retention(count, count) for one in (_with(schedule, step / 400) for step in range(401))]
    assert abs(best - target) <= min(abs(figure - target) for figure in grid) + 1e-12


@settings(max_examples=30, deadline=None)
@given(schedules(), st.integers(0, 5_000), st.floats(0, 1), st.floats(0, 1))
def test_more_pruning_never_keeps_more(schedule: Schedule, count: int, one: float, other: float) -> None:
    mild, harsh = sorted((one, other))
    assert all(
        few <= many
        for many, few in zip(_with(schedule, mild).alive(count), _with(schedule, harsh).alive(count), strict=True)
    )


@settings(max_examples=40, deadline=None)
@given(st.floats(0.01, 0.99), st.integers(100, 5_000))
def test_an_unreachable_target_says_what_is_reachable(target: float, count: int) -> None:
    schedule = live(12, 6, Sigmoid())
    low, high = reachable(schedule, count, 2 * count)
    assume(not low - 0.005 <= target <= high + 0.005)
    with pytest.raises(ScheduleError, match="reachable is") as caught:
        solve(schedule, target, count, 2 * count)
    assert caught.value.reachable == (low, high)
    assert caught.value.target == target


def test_no_tokens_at_all_is_no_error() -> None:
    assert solve(live(12, 6), 0.3, 0, 0).alive(0) == (0,) * 12


@pytest.mark.parametrize(("layers", "first", "floor"), [(1, 0, 0), (12, 11, 0), (12, -1, 0), (12, 0, -1)])
def test_impossible_schedules_are_refused(layers: int, first: int, floor: int) -> None:
    with pytest.raises(ValueError, match="no schedule"):
        Schedule(layers, first, Constant(), floor)


def _with(schedule: Schedule, p: float) -> Schedule:
    return Schedule(schedule.layers, schedule.first, schedule.curve.scaled(p), schedule.floor)
