"""The quality benchmark without a model: arguments, rows, journals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.quality.arguments import LIVE, POLICIES, Job, parse, plan_jobs
from benchmarks.quality.candidates import Prediction, Unreachable
from benchmarks.quality.journal import Journal, JournalError
from benchmarks.quality.papers import Paper, make_paper
from benchmarks.quality.scores import as_table, row, score
from nano_omni.world import ACCEPTANCE_SEEDS
from pruner.policies import NAMES

REFERENCE = Job("all")


def _predict(text: str, *, retention: float = 0.3, deep_share: float | None = None) -> Prediction:
    return Prediction(text, retention, 1000, 100, deep_share, (3, 1))


@pytest.fixture(scope="module")
def papers() -> list[Paper]:
    return [make_paper(seed, 4, "dense", 4, "canonical") for seed in (8_000_000, 8_000_001, 8_000_002)]


def test_the_defaults_stay_clear_of_acceptance_and_hold_every_policy() -> None:
    chosen = parse([])
    assert 8_000_000 <= chosen.seed < chosen.seed + chosen.streams < ACCEPTANCE_SEEDS
    assert {job.policy for job in chosen.jobs} == {*NAMES, *LIVE}
    assert chosen.jobs[0] == REFERENCE
    assert all(job.policy.startswith("live") for job in chosen.jobs if job.deep_share)


def test_policies_and_shares_make_rows() -> None:
    chosen = parse(["--policy", "fastv,live,fastv", "--retention", "0.4,0.3", "--deep-share", "0.1"])
    assert chosen.jobs == (
        REFERENCE,
        *(Job(policy, retention=share) for share in (0.4, 0.3) for policy in ("fastv", "live")),
        Job("live", deep_share=0.1),
    )
    assert plan_jobs(["live"], [], []) == (REFERENCE,)


def test_every_pruning_method_of_the_library_is_offered() -> None:
    assert set(POLICIES) == {*NAMES, *LIVE} - {"all"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--policy", "best"], "there is no policy 'best'"),
        (["--retention", "30"], "shares are above 0 and at most 1"),
        (["--deep-share", "0"], "shares are above 0 and at most 1"),
        (["--retention", "x"], "could not convert"),
        (["--streams", "0"], "whole number from 1 on"),
        (["--seed", "-1"], "whole number from 0 on"),
        (["--split", "easy"], "invalid choice"),
        (["--seed", "8999999", "--streams", "2"], "reach into the acceptance seeds"),
    ],
)
def test_bad_arguments_are_usage_errors(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(arguments)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_papers_are_repeatable_and_ask_nothing_twice(papers: list[Paper]) -> None:
    assert make_paper(8_000_001, 4, "dense", 4, "canonical") == papers[1]
    for paper in papers:
        assert len({qa.text for qa in paper.asked}) == len(paper.asked) == 4
        assert {qa.cut for qa in paper.asked} == {8}


def test_a_row_says_what_the_json_line_promises(papers: list[Paper]) -> None:
    truth = score(REFERENCE, [[_predict(qa.answer, retention=1.0) for qa in paper.asked] for paper in papers], papers)
    half = score(
        Job("live", deep_share=0.1),
        [
            [_predict(qa.answer if at < 2 else "no idea", deep_share=0.1) for at, qa in enumerate(paper.asked)]
            for paper in papers
        ],
        papers,
    )
    found = row(half, papers, truth, [truth])
    assert {"policy", "retention", "flops", "n", "accuracy", "by_category"} <= set(found)
    assert (found["policy"], found["n"], found["accuracy"], found["retention"]) == ("live", 12, 0.5, 0.3)
    assert (found["flops"], found["flops_after_question"], found["deep_share"]) == (1000, 100, 0.1)
    assert found["vs_all"] == found["paired"]["vs all -"] == [-0.5, -0.5, -0.5]
    assert sum(found["n_by_category"].values()) == 12
    assert found["by_category"].keys() == found["n_by_category"].keys()
    right = sum(found["by_category"][name] * count for name, count in found["n_by_category"].items())
    assert right == pytest.approx(6, abs=1e-3)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert "50.0" in as_table([row(truth, papers, truth, []), found])


def test_a_target_out_of_reach_is_a_row_with_its_range(papers: list[Paper]) -> None:
    truth = score(REFERENCE, [[_predict(qa.answer) for qa in paper.asked] for paper in papers], papers)
    lost = score(Job("ttm", retention=0.3), [Unreachable(0.3, 0.43, 0.88)] * 3, papers)
    found = row(lost, papers, truth, [])
    assert found["unreachable"] == [0.43, 0.88]
    assert (found["n"], found["accuracy"], found["by_category"]) == (0, None, {})
    assert "reaches 43.0 to 88.0 %" in as_table([found])


def test_answers_count_only_when_exact(papers: list[Paper]) -> None:
    said = [[_predict(f"{qa.answer} Really.") for qa in paper.asked] for paper in papers]
    assert not any(map(any, score(REFERENCE, list(said), papers).right))


def test_a_journal_gives_back_what_it_was_told(tmp_path: Path) -> None:
    path, run = tmp_path / "sub" / "run.jsonl", {"split": "dense", "windows": 4}
    job, lost = Job("live", deep_share=0.1), Job("ttm", retention=0.3)
    journal = Journal(path, run)
    journal.add(job, 1, [_predict("yes.", deep_share=0.1)])
    journal.add(lost, 1, Unreachable(0.3, 0.4, 0.9))
    again = Journal(path, run)
    assert (job, 1) in again
    assert (job, 2) not in again
    assert again.outcomes(job, [1]) == journal.outcomes(job, [1]) == [[_predict("yes.", deep_share=0.1)]]
    assert again.outcomes(lost, [1]) == [Unreachable(0.3, 0.4, 0.9)]


def test_a_journal_that_was_cut_off_loses_only_its_last_line(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    journal = Journal(path, {})
    for stream in (1, 2):
        journal.add(REFERENCE, stream, [_predict("no.")])
    path.write_text(path.read_text()[:-20])
    again = Journal(path, {})
    assert [(REFERENCE, stream) in again for stream in (1, 2)] == [True, False]
    again.add(REFERENCE, 2, [_predict("yes.")])
    assert Journal(path, {}).outcomes(REFERENCE, [1, 2]) == [[_predict("no.")], [_predict("yes.")]]


def test_a_journal_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    Journal(path, {"split": "dense", "windows": 4})
    with pytest.raises(JournalError, match="another windows"):
        Journal(path, {"split": "dense", "windows": 8})
    other = tmp_path / "other.txt"
    other.write_text("not a journal\n")
    with pytest.raises(JournalError, match="is not a journal"):
        Journal(other, {})
