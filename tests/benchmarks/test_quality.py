"""The quality benchmark without a model: arguments, rows, journals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality.arguments import parse
from benchmarks.quality.compare import comparisons, comparisons_table
from benchmarks.quality.grids import GRIDS, make_grid
from benchmarks.quality.jobs import LIVE, POLICIES, RIVALS, Job, against, plan_jobs
from benchmarks.quality.journal import Journal, JournalError
from benchmarks.quality.outcomes import Answered, Prediction, Unreachable
from benchmarks.quality.papers import Paper, make_paper
from benchmarks.quality.scores import Scored, as_table, row, score
from benchmarks.quality.survivors import Survivors, depths, slug
from nano_omni.world import ACCEPTANCE_SEEDS
from pruner.policies import NAMES

REFERENCE = Job("all")


def _predict(
    text: str, *, retention: float = 0.3, deep_share: float | None = None, after: int = 100, alive: int = 3
) -> Prediction:
    return Prediction(text, retention, 1000, after, 2 * after, deep_share, (alive, 1))


def _answer(predictions: list[Prediction]) -> Answered:
    """Of two layers and three windows of ten raw tokens."""
    count = len(predictions)
    return Answered(tuple(predictions), ((count, count, count), (0, count, 0)), (10, 10, 10))


@pytest.fixture(scope="module")
def papers() -> list[Paper]:
    return [make_paper(seed, 4, "dense", 4, "canonical") for seed in (8_000_000, 8_000_001, 8_000_002)]


def test_the_defaults_stay_clear_of_acceptance_and_hold_every_policy() -> None:
    chosen = parse([])
    (setting,) = chosen.settings
    assert 8_000_000 <= chosen.seed < chosen.seed + setting.streams < ACCEPTANCE_SEEDS
    assert {job.policy for job in setting.jobs} == {*NAMES, *LIVE}
    assert setting.jobs[0] == REFERENCE
    assert all(job.policy.startswith("live") for job in setting.jobs if job.deep_share)
    assert {job.policy for job in setting.jobs if job.model} == set(RIVALS)


def test_policies_and_shares_make_rows() -> None:
    (setting,) = parse(["--policy", "fastv,live,fastv", "--retention", "0.4,0.3", "--deep-share", "0.1"]).settings
    assert setting.jobs == (
        REFERENCE,
        *(Job(policy, retention=share) for share in (0.4, 0.3) for policy in ("fastv", "live")),
        Job("live", deep_share=0.1),
        Job("fastv", retention_of=0.1),
        Job("fastv", flops_of=0.1),
    )
    assert plan_jobs(["live"], [], []) == (REFERENCE,)
    assert len({job.key for job in setting.jobs}) == len(setting.jobs)


def test_every_pruning_method_of_the_library_is_offered() -> None:
    assert set(POLICIES) == {*NAMES, *LIVE} - {"all"}


@pytest.mark.parametrize("name", GRIDS)
def test_a_grid_compares_every_rival_with_the_live_form_in_needles(name: str) -> None:
    needles = [setting for setting in make_grid(name) if setting.name == "needle-16"]
    assert len(needles) == 1
    jobs = [job for job, _ in needles[0].rows]
    assert jobs[0] == REFERENCE
    assert len(set(jobs)) == len(jobs)
    live = {job.deep_share for job in jobs if job.policy == "live" and job.deep_share}
    assert {*against(RIVALS, 0.1)} <= {*jobs}
    assert {job.model for job in jobs if job.model} <= live


def test_headline_points_of_the_full_grid_stand_on_four_thousand_questions() -> None:
    named = {setting.name: setting for setting in make_grid("full")}
    needle = named["needle-16"]
    assert needle.streams * needle.questions >= 4000
    assert needle.others_streams * needle.questions >= 500
    assert {job.key for job in needle.jobs} == {"all -", "live deep 30 %", "live deep 10 %", "live deep 5 %"}
    assert all(named[one].streams * named[one].questions >= 4000 for one in ("dense-16", "dense-64"))
    more = {setting.name: setting for setting in make_grid("full", ["random"])}["needle-16"]
    moved = {*more.jobs} - {*needle.jobs}
    assert moved == {job for share in (0.3, 0.1, 0.05) for job in against(["random"], share)}
    assert {*more.jobs, *more.others} == {*needle.jobs, *needle.others}


def test_a_grid_keeps_a_journal_for_each_of_its_settings(tmp_path: Path) -> None:
    full = parse(["--grid", "full", "--out", str(tmp_path / "run.jsonl"), "--dump", str(tmp_path / "dump")])
    kept = [full.journal(setting) for setting in full.settings]
    assert tmp_path / "run-needle-16.jsonl" in kept
    assert len({*kept}) == len(full.settings) == len({full.survivors(setting) for setting in full.settings})
    single = parse(["--out", str(tmp_path / "run.jsonl")])
    assert single.journal(single.settings[0]) == tmp_path / "run.jsonl"
    assert single.survivors(single.settings[0]) is None


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
        (["--seed", "8999900", "--grid", "full"], "reach into the acceptance seeds"),
        (["--grid", "half"], "invalid choice"),
        (["--grid", "full", "--headline", "live"], "there is no rival 'live'"),
        (["--headline", "random"], "--headline belongs to --grid full"),
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


def _truth(papers: list[Paper], *, after: int = 50) -> Scored:
    told = [_answer([_predict(qa.answer, retention=1.0, after=after) for qa in paper.asked]) for paper in papers]
    return score(REFERENCE, told, papers)


def _half(job: Job, papers: list[Paper], *, right: int = 2, after: int = 100) -> Scored:
    deep = job.deep_share
    return score(
        job,
        [
            _answer(
                [
                    _predict(qa.answer if at < right else "no idea", deep_share=deep, after=after)
                    for at, qa in enumerate(paper.asked)
                ]
            )
            for paper in papers
        ],
        papers,
    )


def test_a_row_says_what_the_json_line_promises(papers: list[Paper]) -> None:
    truth, half = _truth(papers), _half(Job("live", deep_share=0.1), papers)
    found = row(half, truth)
    assert {"policy", "retention", "flops", "n", "accuracy", "by_category"} <= set(found)
    assert (found["policy"], found["n"], found["accuracy"], found["retention"]) == ("live", 12, 0.5, 0.3)
    assert (found["flops"], found["flops_after_question"], found["flops_in_store"]) == (1000, 100, 200)
    assert found["deep_share"] == found["options"]["deep_share"] == 0.1
    assert found["options"]["score"] == "running_max"
    assert found["vs_all"] == [-0.5, -0.5, -0.5]
    assert found["survivors"] == [[0.1, 0.1, 0.1], [0.0, 0.1, 0.0]]
    assert sum(found["n_by_category"].values()) == 12
    assert found["by_category"].keys() == found["n_by_category"].keys()
    right = sum(found["by_category"][name] * count for name, count in found["n_by_category"].items())
    assert right == pytest.approx(6, abs=1e-3)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert "50.0" in as_table([row(truth, truth), found])


def test_a_target_out_of_reach_is_a_row_with_its_range(papers: list[Paper]) -> None:
    truth = _truth(papers)
    found = row(score(Job("ttm", retention=0.3), [Unreachable(0.3, 0.43, 0.88)] * 3, papers), truth)
    assert found["unreachable"] == [0.43, 0.88]
    assert (found["n"], found["accuracy"], found["by_category"]) == (0, None, {})
    costly = row(score(Job("fastv", flops_of=0.1), [Unreachable(1e9, 6e9, 62e9, "flops")] * 3, papers), truth)
    said = as_table([found, costly])
    assert "reaches 43.0 to 88.0 %" in said
    assert "takes 6.00 to 62.00 GFLOP" in said


def test_rows_on_fewer_streams_are_paired_with_the_streams_they_share(papers: list[Paper]) -> None:
    truth = _truth(papers)
    few = _half(Job("random", retention=0.3), papers[:2])
    assert (row(few, truth)["n"], row(few, truth)["vs_all"][0]) == (8, -0.5)


def test_the_live_form_is_compared_with_rows_that_were_set_to_equal_it(papers: list[Paper]) -> None:
    scored = [
        _truth(papers),
        _half(Job("live", deep_share=0.1), papers, right=3),
        _half(Job("random", retention_of=0.1), papers, right=2),
        _half(Job("random", flops_of=0.1), papers, right=1, after=20),
        _half(Job("random", retention_of=0.3), papers, right=0),
        _half(Job("seats", retention=0.45), papers, right=4, after=101),
        score(Job("ttm", flops_of=0.1), [Unreachable(1e9, 6e9, 62e9, "flops")] * 3, papers),
    ]
    found = comparisons(scored)
    by = {(one["equal"], one["policy"]): one for one in found}
    assert {*by} == {
        ("retention", "random"),
        ("flops", "random"),
        ("flops", "ttm"),
        ("flops_streamed", "all"),
        ("flops_streamed", "random"),  # the better of its rows; seats costs a little too much
    }
    assert by["retention", "random"]["difference"][0] == 0.25
    assert by["retention", "random"]["headroom"][0] == 0.5
    assert by["flops", "random"]["difference"][0] == 0.5
    assert by["flops", "ttm"]["unreachable"] == [6e9, 62e9]
    assert by["flops_streamed", "random"]["difference"][0] == 0.25
    assert by["flops_streamed", "all"]["difference"][0] == -0.25
    assert "6.0 to 62.0 GFLOP" in comparisons_table(found)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_answers_count_only_when_exact(papers: list[Paper]) -> None:
    said = [_answer([_predict(f"{qa.answer} Really.") for qa in paper.asked]) for paper in papers]
    assert not any(map(any, score(REFERENCE, said, papers).right))


def test_a_journal_gives_back_what_it_was_told(tmp_path: Path) -> None:
    path, run = tmp_path / "sub" / "run.jsonl", {"split": "dense", "windows": 4}
    job, lost = Job("live", deep_share=0.1), Job("ttm", retention=0.3)
    equal, beyond = Job("random", flops_of=0.1), Job("fastv", flops_of=0.1)
    told = _answer([_predict("yes.", deep_share=0.1)])
    journal = Journal(path, run)
    journal.add(job, 1, told)
    journal.add(lost, 1, Unreachable(0.3, 0.4, 0.9))
    journal.solve(equal, 0.0586)
    journal.solve(beyond, Unreachable(1.0, 2.0, 3.0, "flops"))
    again = Journal(path, run)
    assert (job, 1) in again
    assert (job, 2) not in again
    assert again.outcomes(job, [1]) == journal.outcomes(job, [1]) == [told]
    assert again.outcomes(lost, [1]) == [Unreachable(0.3, 0.4, 0.9)]
    assert again.solved(equal) == 0.0586
    assert again.solved(beyond) == Unreachable(1.0, 2.0, 3.0, "flops")
    assert again.solved(job) is None


def test_a_journal_that_was_cut_off_loses_only_its_last_line(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    journal = Journal(path, {})
    for stream in (1, 2):
        journal.add(REFERENCE, stream, _answer([_predict("no.")]))
    path.write_text(path.read_text()[:-20])
    again = Journal(path, {})
    assert [(REFERENCE, stream) in again for stream in (1, 2)] == [True, False]
    again.add(REFERENCE, 2, _answer([_predict("yes.")]))
    said = Journal(path, {}).outcomes(REFERENCE, [1, 2])
    assert said == [_answer([_predict("no.")]), _answer([_predict("yes.")])]


def test_a_journal_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    Journal(path, {"split": "dense", "windows": 4})
    with pytest.raises(JournalError, match="another windows"):
        Journal(path, {"split": "dense", "windows": 8})
    for text in ("not a journal\n", '{"run": {}}\n{"job": "all -", "stream": 1, "answered": {}}\n'):
        path.write_text(text)
        with pytest.raises(JournalError, match="name another file with --out"):
            Journal(path, {})


def test_survivors_are_counted_by_layer_and_window_and_read_back(tmp_path: Path) -> None:
    window, modality = np.array([0, 0, 0, 2, 2]), np.array([1, 1, 2, 1, 2])
    depth = np.array([depths(np.arange(5), [np.arange(5), np.array([0, 3]), np.array([3])]), [1, 1, 1, 3, 3]])
    assert depth[0].tolist() == [2, 1, 1, 3, 1]
    raw = np.array([[4, 2], [4, 2], [4, 2]])
    survivors = Survivors(window, modality, np.array([0, 3, 1, 2, 0]), depth, 3, raw)
    counts = survivors.by_layer_and_window()
    assert counts.tolist() == [[6, 0, 4], [1, 0, 3], [0, 0, 3]]
    path = tmp_path / "live-deep-10" / "8000000.npz"
    survivors.save(path)
    again = Survivors.load(path)
    assert np.array_equal(again.by_layer_and_window(), counts)
    assert np.array_equal(again.token, survivors.token)
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert slug("live FLOPs as deep 10 %") == "live-flops-as-deep-10"
