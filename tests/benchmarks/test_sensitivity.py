"""Wordings without a model: the word-error channel against an alignment that is not its own, and equal facts."""

from __future__ import annotations

import difflib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality.jobs import Job
from benchmarks.sensitivity.__main__ import main
from benchmarks.sensitivity.hearing import WORDS, distance, misheard, nearest
from benchmarks.sensitivity.rows import Marks, as_table, rows, word_errors
from benchmarks.sensitivity.wordings import CLEAN, WORDINGS, Sheet, Wording, make_sheet
from nano_omni.world.vocabulary import COLOURS, SHAPES, SOUNDS

TEXT = "What did you see on the screen right before the small red circle was at the top?"
COUNT = 2000
LENGTH = len(TEXT.split())


def _edits(one: list[str], other: list[str]) -> int:
    """Levenshtein's distance by its definition, as a check on the one that rows use."""
    known: dict[tuple[int, int], int] = {}
    for at in range(len(one) + 1):
        for its in range(len(other) + 1):
            if not at or not its:
                known[at, its] = at + its
                continue
            same = known[at - 1, its - 1] + (one[at - 1] != other[its - 1])
            known[at, its] = min(same, known[at - 1, its] + 1, known[at, its - 1] + 1)
    return known[len(one), len(other)]


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2])
def test_the_realised_word_error_rate_is_the_wanted_one(rate: float) -> None:
    reference = TEXT.rstrip("?").split()
    wrong = sum(_edits(reference, misheard(TEXT, rate, seed).rstrip("?").split()) for seed in range(COUNT))
    assert wrong / (COUNT * LENGTH) == pytest.approx(rate, abs=0.006)


def test_errors_are_substitutions_deletions_and_insertions() -> None:
    reference, kinds = TEXT.rstrip("?").split(), {"replace": 0, "delete": 0, "insert": 0}
    for seed in range(COUNT):
        heard = misheard(TEXT, 0.05, seed).rstrip("?").split()  # few enough that one seldom touches the next
        for kind, *_ in difflib.SequenceMatcher(None, reference, heard, autojunk=False).get_opcodes():
            if kind != "equal":
                kinds[kind] += 1
    total = sum(kinds.values())
    assert kinds["replace"] / total == pytest.approx(0.6, abs=0.1)
    assert kinds["delete"] / total == pytest.approx(0.2, abs=0.08)
    assert kinds["insert"] / total == pytest.approx(0.2, abs=0.08)


@given(st.integers(0, 10_000), st.floats(0, 0.5), st.floats(0, 0.5))
def test_mistakes_repeat_and_only_grow_with_the_rate(seed: int, one: float, other: float) -> None:
    few, many = sorted((one, other))
    assert misheard(TEXT, few, seed) == misheard(TEXT, few, seed)
    reference = TEXT.rstrip("?").split()
    untouched = [word for word in reference if word in misheard(TEXT, many, seed).rstrip("?").split()]
    assert [word for word in untouched if word in misheard(TEXT, few, seed).rstrip("?").split()] == untouched


def test_nothing_is_wrong_at_rate_zero_and_a_question_stays_one() -> None:
    assert misheard(TEXT, 0, 7) == TEXT
    assert all(misheard(TEXT, 0.2, seed).endswith("?") for seed in range(50))
    assert misheard("Why?", 0.5, 0).strip()
    with pytest.raises(ValueError, match="outside 0 to"):
        misheard(TEXT, 0.6, 0)


def test_words_are_taken_for_words_that_sound_like_them() -> None:
    assert distance("bat", "pat") < distance("bat", "sat") < distance("bat", "shoulder")
    assert distance("red", "red") == 0
    assert "read" in nearest("red")
    assert "fine" in nearest("vine")
    assert all(len({*nearest(word), word}) == 4 for word in TEXT.rstrip("?").lower().split())


def test_no_mistake_puts_in_what_the_scene_could_show() -> None:
    assert not {*WORDS} & {*COLOURS, *SHAPES, *SOUNDS, "left", "right", "top", "bottom", "up", "down"}


def test_rows_count_word_errors_as_the_definition_does() -> None:
    for seed in range(60):
        pair = TEXT.split(), misheard(TEXT, 0.3, seed).split()
        assert word_errors(*pair) == _edits(*pair)
    assert word_errors([], ["a"]) == word_errors(["a"], []) == 1


@pytest.fixture(scope="module")
def sheets() -> list[Sheet]:
    return [make_sheet(seed, 6, "dense", 6) for seed in (8_000_100, 8_000_101)]


def test_all_wordings_ask_for_the_same_facts(sheets: list[Sheet]) -> None:
    for sheet in sheets:
        clean = sheet.asked[CLEAN]
        assert len({qa.text for qa in clean}) == len(clean) == 6
        for wording in WORDINGS:
            assert [(qa.answer, qa.category) for qa in sheet.asked[wording]] == [
                (qa.answer, qa.category) for qa in clean
            ]
    for wording in WORDINGS[1:]:
        assert any(sheet.asked[wording] != sheet.asked[CLEAN] for sheet in sheets), wording
    assert make_sheet(8_000_100, 6, "dense", 6) == sheets[0]


def test_word_errors_are_counted_without_case_and_punctuation(sheets: list[Sheet]) -> None:
    marks, job, wording, sheet = Marks(), Job("all"), Wording(errors=0.05), sheets[0]
    asked = [replace(qa, text=qa.text.lower().rstrip("?.")) for qa in sheet.asked[CLEAN]]
    for put, qas in ((CLEAN, sheet.asked[CLEAN]), (wording, asked)):
        marks.add(job, put, sheet, qas, [qa.answer for qa in qas])
    assert {one["word_error_rate"] for one in rows(marks)} == {0.0}


def test_rows_compare_each_wording_with_the_clean_one(sheets: list[Sheet]) -> None:
    marks, job = Marks(), Job("live", deep_share=0.3)
    for sheet in sheets:
        for wording in WORDINGS:
            asked = sheet.asked[wording]
            right = len(asked) if wording == CLEAN else 3
            marks.add(job, wording, sheet, asked, [qa.answer if at < right else "?" for at, qa in enumerate(asked)])
    found = {(one["phrasing"], one["errors"]): one for one in rows(marks)}
    assert found["canonical", 0]["accuracy"] == 1.0
    assert found["canonical", 0]["word_error_rate"] == 0.0
    assert found["held_out", 0]["vs_clean"] == [-0.5, -0.5, -0.5]
    assert found["held_out", 0]["word_error_rate"] is None
    assert 0 < found["canonical", 0.05]["word_error_rate"] <= found["canonical", 0.2]["word_error_rate"] < 0.4
    said = as_table([*found.values()])
    assert "canonical, 20 % word errors" in said
    assert Wording("held_out").name in said


def test_bad_arguments_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--deep-share", "2"], ["--guidance", "song"], ["--seed", "8999999", "--streams", "2"]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
    assert "reach into the acceptance seeds" in capsys.readouterr().err
