"""The quality benchmark with models: shared pasts answer as whole ones do, and the command from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.quality.__main__ import main
from benchmarks.quality.arguments import Job
from benchmarks.quality.candidates import Candidates, Prediction
from benchmarks.quality.papers import make_paper, media
from pruner import LiveModel
from pruner.encoder import HearingState, WindowEncoder
from pruner.oneshot import reply
from pruner.policies import make

pytestmark = pytest.mark.default


def _answers(candidates: Candidates, job: Job) -> list[list[Prediction]]:
    found = candidates.run(job)
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("policy", ["all", "random", "window", "dash", "fastv"])
def test_a_shared_past_changes_no_answer(tiny_model: LiveModel, policy: str) -> None:
    papers = [make_paper(seed, 3, "dense", 5, "canonical") for seed in (8_000_010, 8_000_011)]
    found = _answers(Candidates(tiny_model, papers, "cpu"), Job(policy, retention=0.5))
    encoder, said = WindowEncoder(tiny_model.model), set()
    for paper, predictions, windows in zip(papers, found, media([one.script for one in papers], "cpu"), strict=True):
        state = HearingState()
        encoded = [encoder.encode([(state, window)])[0] for window in windows]
        for qa, prediction in zip(paper.asked, predictions, strict=True):
            alone = reply(tiny_model.model, encoded, qa.text, make(policy, 0.5, tiny_model.facts.layers))
            assert prediction.text == alone.text
            assert list(prediction.alive) == [len(rows) for rows in alone.alive]
            said.add(prediction.text)
    assert len(said) > 3


def test_a_question_taken_back_leaves_no_trace(tiny_model: LiveModel) -> None:
    papers = [make_paper(8_000_012, 3, "dense", 4, "canonical")]
    candidates = Candidates(tiny_model, papers, "cpu")
    job = Job("live", deep_share=0.3)
    assert _answers(candidates, job) == _answers(candidates, job)
    (first,) = _answers(Candidates(tiny_model, papers, "cpu"), job)
    assert [one.text for one in first] == [one.text for one in _answers(candidates, job)[0]]
    # one-shot with the same rule and counts answers the same (method.md, exactness)
    (one_shot,) = _answers(candidates, Job("live", retention=first[0].retention))
    assert [one.text for one in one_shot] == [one.text for one in first]


def test_the_command_prints_a_table_and_one_line_and_resumes(
    tiny_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--model", str(tiny_directory), "--streams", "2", "--windows", "2", "--split", "dense", "--questions"]
    command += ["2", "--policy", "live,ttm", "--retention", "0.3", "--deep-share", "0.2", "--threads", "1"]
    command += ["--out", str(tmp_path / "run.jsonl"), "--dump", str(tmp_path / "dump.jsonl")]
    assert main(command) == 0
    first = capsys.readouterr()
    result = json.loads(first.out.splitlines()[-1])
    assert list(result)[:5] == ["bench", "split", "windows", "seed", "rows"]
    assert (result["bench"], result["split"], result["windows"], result["seed"]) == ("quality", "dense", 2, 8_000_000)
    assert [one["policy"] for one in result["rows"]] == ["all", "live", "ttm", "live"]
    assert len(result["rows"][2]["unreachable"]) == 2
    assert first.out.splitlines()[0].startswith("policy")
    dumped = [json.loads(line) for line in (tmp_path / "dump.jsonl").read_text().splitlines()]
    assert len(dumped) == sum(one["n"] for one in result["rows"])
    assert {"seed", "text", "answer", "category", "cut", "right", "predicted", "policy", "target"} <= set(dumped[0])
    assert main(command) == 0
    again = capsys.readouterr()
    assert "streams" not in again.err
    assert json.loads(again.out.splitlines()[-1])["rows"] == result["rows"]


def test_missing_weights_are_said_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", str(tmp_path), "--streams", "1", "--windows", "1", "--questions", "1"]) == 1
    assert "config.json" in capsys.readouterr().err
