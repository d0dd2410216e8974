"""The long benchmark without a model: ways to forget, recall by age, ratios, arguments, files of answers."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path

import numpy as np
import pytest

from benchmarks.long.__main__ import main
from benchmarks.long.forgetting import RULES
from benchmarks.long.scores import as_table, curve, recall_rows, targets, targets_table
from benchmarks.long.sitting import Answer, Vital
from benchmarks.statistics import ratio
from pruner.tokens import Modality, Role, TokenRows


def _rows(counts: list[int]) -> TokenRows:
    """A system prompt of two rows, then windows with so many tokens, pictures and sound in turn."""
    chunk = np.repeat(np.arange(len(counts)), counts)
    media = len(chunk)
    return TokenRows.make(
        np.arange(2 + media),
        sequence=0,
        role=[Role.SYSTEM] * 2 + [Role.MEDIA] * media,
        turn=0,
        modality=[Modality.TEXT] * 2 + [Modality.VIDEO, Modality.AUDIO] * (media // 2) + [Modality.VIDEO] * (media % 2),
        chunk=[-1, -1, *chunk],
    )


def _kept(rule: str, counts: list[int], limit: int) -> list[int]:
    """Tokens of each window that stay."""
    rows = _rows(counts)
    random = np.random.default_rng(0)
    stays = RULES[rule].surviving(rows, random.random(len(rows)), random.random(len(rows)), limit)
    assert stays[~rows.media].all()
    assert stays[rows.media].sum() <= limit
    return np.bincount(rows.chunk[stays & rows.media], minlength=len(counts)).tolist()


def test_the_sliding_window_keeps_the_newest_tokens() -> None:
    assert _kept("window", [4, 4, 4, 4], 6) == [0, 0, 2, 4]


def test_uniform_windows_keeps_whole_windows_evenly_spaced() -> None:
    kept = _kept("uniform_windows", [4] * 16, 24)
    assert {*kept} == {0, 4}
    gaps = np.diff(np.flatnonzero(kept))
    assert max(gaps) <= 2 * min(gaps)
    assert kept[0] == kept[-1] == 4


def test_uniform_tokens_keeps_as_much_of_every_window() -> None:
    assert _kept("uniform_tokens", [8, 8, 2, 8], 15) == [4, 4, 2, 5]
    few = _kept("uniform_tokens", [3] * 12, 4)
    assert {*few} == {0, 1}
    assert sum(few) == 4


def test_uniform_tokens_are_spread_within_their_window() -> None:
    rows = _rows([12])
    nothing = np.zeros(len(rows))
    stays = RULES["uniform_tokens"].surviving(rows, nothing, nothing, 3)
    assert np.diff(np.flatnonzero(stays & rows.media)).tolist() == [4, 4]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("limit", [1, 7, 40])
def test_every_rule_keeps_to_the_limit_and_uses_it(rule: str, limit: int) -> None:
    kept = _kept(rule, [5, 1, 9, 3, 7, 7, 2, 6], limit)
    assert sum(kept) <= limit
    if rule in ("window", "uniform_tokens"):
        assert sum(kept) == min(limit, 40)


def _answer(rule: str, seed: int, age: int, right: bool) -> Answer:
    said = "a horn." if right else "a bell."
    return Answer(rule, seed, "Which sound?", "a horn.", "av.sound", 720, age, 60.0 * age, said, 0.5, 7)


def _vital(minute: int, *, rule: str = "live", ttft: float | None = None, resident: float = 500.0) -> Vital:
    held = None if ttft is None else 1040
    return Vital(rule, 1, minute, ttft, 1.0, 1.0, 1.0, 1.0, held, resident, 4000, 300, 250, 0.75)


ANSWERS = [
    *(_answer("live", seed, age, right) for seed in (1, 2) for age, right in ((1, True), (1, True), (10, seed == 1))),
    *(_answer("window", seed, age, age == 1) for seed in (1, 2) for age in (1, 1, 10)),
    *(_answer("uniform_tokens", seed, age, seed == 1) for seed in (1, 2) for age in (1, 1, 10)),
    *(_answer("uniform_windows", seed, age, False) for seed in (1, 2) for age in (1, 1, 10)),
]


def test_recall_is_told_by_rule_and_age() -> None:
    rows = recall_rows(ANSWERS, [_vital(minute, rule=rule) for minute in (6, 12) for rule in RULES])
    live = rows[0]
    assert (live["rule"], live["n"]) == ("live", 6)
    assert live["by_age"][10]["recall"][0] == 0.5
    assert live["by_age"][1] == {"n": 4, "recall": live["by_age"][1]["recall"], "held": 0.5, "tokens": 7.0}
    assert live["by_age"][1]["recall"][1] < 1.0 == live["by_age"][1]["recall"][0]
    assert (live["coverage"], live["windows"]) == (0.75, 250.0)
    assert "50.0 [9, 91] (50)" in as_table(rows)


def test_targets_are_judged_and_what_cannot_be_told_is_left_open() -> None:
    vitals = [_vital(minute, resident=500 + minute / 60, ttft=100.0) for minute in range(1, 61)]
    found = {one["name"]: one for one in targets(ANSWERS, vitals, 1000)}
    window = found["recall at 10 min, live ÷ window"]  # none to divide by, and some recall is more than that
    assert (window["value"], window["met"]) == (None, True)
    uniform = found["recall at 10 min, live ÷ uniform_tokens"]  # the better of the two
    assert (uniform["value"][0], uniform["met"]) == (1.0, False)
    assert found["recall at 10 min ÷ at 1 min, live"]["value"][0] == 0.5
    assert found["bytes of a session, counted ÷ computed"] == {
        "name": "bytes of a session, counted ÷ computed",
        "value": [1.04, None, None],
        "target": 1.05,
        "least": False,
        "met": True,
    }
    growth = found["resident memory, growth an hour of stream ÷ mean"]
    assert growth["value"][0] == pytest.approx(1 / 500, rel=0.01)
    assert found["first token at 60 min ÷ at 5 min"]["value"][0] == 1.0
    assert "none to divide by" in targets_table([*found.values()])
    assert json.loads(json.dumps([*found.values()], allow_nan=False)) == [*found.values()]


def test_a_leak_is_seen() -> None:
    vitals = [_vital(minute, resident=500 + minute) for minute in range(1, 61)]
    (growth,) = [one for one in targets(ANSWERS, vitals, 1000) if one["name"].startswith("resident")]
    assert growth["met"] is False


def test_a_short_run_says_nothing_about_growth() -> None:
    names = [one["name"] for one in targets(ANSWERS, [_vital(minute) for minute in (1, 2, 3)], 1000)]
    assert not any(name.startswith(("resident", "bytes", "first token")) for name in names)


def test_the_curve_follows_one_session() -> None:
    vitals = [_vital(1), _vital(1, rule="window"), _vital(2, ttft=99.0), _vital(2, rule="window")]
    assert [(one["minute"], one["ttft_ms"]) for one in curve(vitals)] == [(1, None), (2, 99.0)]


def test_a_long_curve_is_thinned_but_keeps_what_was_timed() -> None:
    vitals = [_vital(minute, ttft=99.0 if minute == 5 else None) for minute in range(1, 122)]
    assert [one["minute"] for one in curve(vitals)] == sorted({*range(4, 121, 4), 5, 121})


def test_a_ratio_draws_whole_streams() -> None:
    found = ratio([(4, 2)] * 10)
    assert found is not None
    assert (found.value, found.low, found.high) == (2.0, 2.0, 2.0)
    assert ratio([(3, 0), (1, 0)]) is None
    sparse = ratio([(3, 1), (1, 0), (2, 0)])
    assert sparse is not None
    assert (sparse.value, sparse.high) == (6.0, inf)
    assert sparse.low <= 6.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rules", "live,none"], "there is no rule 'none'"),
        (["--rules", ""], "there is no rule ''"),
        (["--minutes", "500"], "a long stream lasts"),
        (["--moments", "13"], "moments are whole minutes"),
        (["--seed", "8999999", "--streams", "2"], "reach into the acceptance seeds"),
    ],
)
def test_bad_arguments_are_usage_errors(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_missing_weights_are_said_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", str(tmp_path), "--streams", "1"]) == 1
    assert "config.json" in capsys.readouterr().err
