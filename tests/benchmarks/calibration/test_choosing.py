"""What may be chosen, how it is chosen, and what is written down; no model."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
import yaml

from benchmarks.calibration.choose import choose
from benchmarks.calibration.exams import Exam, groups, scenes
from benchmarks.calibration.report import as_json, as_table, as_yaml
from benchmarks.calibration.settings import Setting, settings
from benchmarks.calibration.sitting import Marks
from nano_omni import weights_dir
from pruner import ScheduleError, TurnOptions
from pruner.families.facts import ModelFacts, read_facts
from pruner.families.omni import FAMILIES
from stream_service.config import load


@pytest.fixture(scope="module")
def facts() -> ModelFacts:
    return read_facts(weights_dir(), FAMILIES)


def test_the_default_is_first_and_every_setting_meets_the_target(facts: ModelFacts) -> None:
    found = settings(facts, retention=0.4, deep_share=None, weights=(0.1, 0.3))
    default = TurnOptions()
    assert found[0] == Setting(facts.fusion_depth, found[0].deep_share, default.schedule, default.score, 0.0)
    assert len(set(found)) == len(found)
    assert {one.schedule for one in found} == {"constant", "sigmoid"}
    assert {one.diversity_weight for one in found} == {0.0, 0.1, 0.3}
    assert len({one.fusion_depth for one in found}) > 2
    raw = 2_000_000
    stored = round(raw * 0.5204918)  # of nano's 61 tokens a second
    for one in found:
        schedule = one.options(None).solved(facts.layers, one.fusion_depth, stored, raw)
        assert schedule.retention(stored, raw) == pytest.approx(0.4, abs=0.005), one


def test_a_deep_share_is_met_at_the_models_own_depth(facts: ModelFacts) -> None:
    found = settings(facts, retention=None, deep_share=0.3, weights=())
    assert {(one.fusion_depth, one.deep_share) for one in found} == {(facts.fusion_depth, 0.3)}
    assert {one.diversity_weight for one in found} == {0.0}


def test_a_schedule_that_misses_the_target_is_not_offered(facts: ModelFacts) -> None:
    found = settings(facts, retention=None, deep_share=0.1, weights=())
    assert {one.schedule for one in found} == {"constant"}, "the sigmoid drops too late in so few layers"


@pytest.mark.parametrize("target", [0.05, 0.9])
def test_what_cannot_be_reached_says_what_can(facts: ModelFacts, target: float) -> None:
    with pytest.raises(ScheduleError) as refused:
        settings(facts, retention=target, deep_share=None, weights=())
    low, high = refused.value.reachable
    assert refused.value.what == "retention"
    assert 0 < low < high < 0.9
    for end in (low, high):
        assert settings(facts, retention=end, deep_share=None, weights=())


def _setting(depth: int) -> Setting:
    return Setting(depth, 0.3, "constant", "running_max", 0.0)


EXAMS = groups([Exam(str(number), partial(iter, ())) for number in range(28)])
CHOICES = [_setting(depth) for depth in range(1, 10)]
EVERYTHING = Setting(1, 1.0, "constant", "running_max", 0.0)


class Class:
    """Settings with a skill each, by round; asks 8 questions an exam, the same luck for all."""

    def __init__(self, skill: Callable[[Setting, int], float]) -> None:
        self.skill = skill
        self.sat: list[tuple[int, int]] = []

    def __call__(self, some: Sequence[Setting], exams: Sequence[Exam]) -> Mapping[Setting, Sequence[Marks]]:
        self.sat.append((len(some), len(exams)))
        number = len(self.sat)
        return {one: [self._marks(one, exam, number) for exam in exams] for one in some}

    def _marks(self, setting: Setting, exam: Exam, number: int) -> Marks:
        luck = random.Random(exam.name)
        right = [luck.random() < self.skill(setting, number) for _ in range(8)]
        return Marks(right, [0.3] * 8, [setting.deep_share] * 8)


def test_among_equals_the_default_stays() -> None:
    sitting = Class(lambda setting, number: 0.6)
    choice = choose(CHOICES, EXAMS, sitting, beside=[EVERYTHING])
    assert choice.chosen == choice.default == CHOICES[0]
    assert choice.challenger == CHOICES[1], "the earlier of equals"
    assert choice.difference is not None
    assert choice.difference.value == 0
    assert sitting.sat == [(9, 4), (3, 8), (3, 16)], "halving; the last exams decide and compare"


def test_a_setting_that_is_better_throughout_is_chosen() -> None:
    choice = choose(CHOICES, EXAMS, Class(lambda setting, number: 0.9 if setting.fusion_depth == 7 else 0.4))
    assert choice.chosen == choice.challenger == _setting(7)
    assert choice.difference is not None
    assert choice.difference.low > 0
    assert [scores[0].setting for scores in choice.rounds] == [_setting(7)] * 2
    assert [scores[0].asked for scores in choice.rounds] == [32, 96], "the second round counts the first"


def test_luck_in_the_first_rounds_is_not_enough() -> None:
    lucky = Class(lambda setting, number: 0.9 if setting.fusion_depth == 7 and number < 3 else 0.5)
    choice = choose(CHOICES, EXAMS, lucky)
    assert choice.challenger == _setting(7)
    assert choice.chosen == CHOICES[0]


def test_a_default_that_falls_behind_still_meets_the_best() -> None:
    sitting = Class(lambda setting, number: 0.1 if setting == CHOICES[0] else 0.8)
    choice = choose(CHOICES, EXAMS, sitting)
    assert sitting.sat == [(9, 4), (4, 8), (2, 16)]
    assert choice.chosen == CHOICES[1]


def test_a_single_setting_is_only_measured() -> None:
    sitting = Class(lambda setting, number: 0.5)
    choice = choose(CHOICES[:1], EXAMS, sitting, beside=[EVERYTHING])
    assert (choice.chosen, choice.challenger, choice.difference) == (CHOICES[0], None, None)
    assert sitting.sat == [(2, 16)]
    assert "nothing dropped" in as_table(choice, EVERYTHING)


def test_streams_are_parted_once() -> None:
    assert [len(group) for group in EXAMS] == [4, 8, 16]
    assert [exam.name for group in EXAMS for exam in group] == [str(number) for number in range(28)]
    few = groups(list(EXAMS[1][:3]))
    assert [len(group) for group in few] == [1, 1, 1]
    with pytest.raises(ValueError, match="2 streams cannot choose"):
        groups(list(EXAMS[1][:2]))


def test_seeds_of_benchmarks_are_refused() -> None:
    with pytest.raises(ValueError, match="7999999 to 8000000 reach into"):
        scenes(7_999_999, 2, split="needle", windows=2, questions=1, device="cpu")


@pytest.mark.parametrize("better", [True, False])
def test_what_is_written_is_a_configuration_that_says_what_was_measured(better: bool, tmp_path: Path) -> None:
    choice = choose(
        CHOICES,
        EXAMS,
        Class(lambda setting, number: 0.9 if better and setting.fusion_depth == 7 else 0.5),
        beside=[EVERYTHING],
    )
    told = {"benchmark": None, "split": "needle", "windows": 16, "seed": 7_000_000}
    told |= {"retention": 0.3, "deep_share": None, "date": "d", "hardware": "h"}
    text = as_yaml({"fusion_depth": choice.chosen.fusion_depth, "deep_share": 0.3}, told | as_json(choice, EVERYTHING))
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    assert load(path, {}).engine.fusion_depth == yaml.safe_load(text)["engine"]["fusion_depth"] == (7 if better else 1)
    assert ("it was taken" if better else "the default was kept") in text
    assert "128 questions on streams that chose nothing" in text
