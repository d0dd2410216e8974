"""The quality benchmark with models: shared pasts answer as whole ones do, and the command from end to end."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.quality.__main__ import main
from benchmarks.quality.candidates import Candidates, Done
from benchmarks.quality.equal import Equaliser
from benchmarks.quality.jobs import RIVALS, Job
from benchmarks.quality.outcomes import Prediction, Unreachable
from benchmarks.quality.papers import make_paper, media
from benchmarks.quality.survivors import Survivors
from benchmarks.quality.together import answer_each, answer_together
from pruner import LiveModel
from pruner.encoder import StreamState, WindowEncoder
from pruner.oneshot import assemble, reply
from pruner.policies import make

pytestmark = pytest.mark.default


def _done(candidates: Candidates, job: Job) -> list[Done]:
    found = candidates.run(job)
    assert isinstance(found, list)
    return found


def _answers(candidates: Candidates, job: Job) -> list[tuple[Prediction, ...]]:
    return [one.predictions for one in _done(candidates, job)]


@pytest.mark.parametrize("policy", ["all", "random", "window", "dash", "fastv", "seats"])
def test_answers_given_together_are_those_given_alone(tiny_model: LiveModel, policy: str) -> None:
    papers = [make_paper(seed, 3, "dense", 5, "canonical") for seed in (8_000_010, 8_000_011)]
    found = _done(Candidates(tiny_model, papers, "cpu"), Job(policy, retention=0.5))
    encoder, said = WindowEncoder(tiny_model.model), set()
    for paper, done, windows in zip(papers, found, media([one.script for one in papers], "cpu"), strict=True):
        state = StreamState()
        encoded = [encoder.encode([(state, window)])[0] for window in windows]
        for at, (qa, prediction) in enumerate(zip(paper.asked, done.predictions, strict=True)):
            alone = reply(tiny_model.model, encoded, qa.text, make(policy, 0.5, tiny_model.facts.layers))
            assert prediction.text == alone.text
            assert list(prediction.alive) == [len(rows) for rows in alone.alive]
            entered = [alone.prompted.media[done.survivors.depth[at] > layer] for layer in range(len(alone.alive))]
            assert all(torch.equal(rows, its.cpu()) for rows, its in zip(entered, alone.alive, strict=True))
            said.add(prediction.text)
    assert len(said) > 3


def test_whole_passes_side_by_side_answer_as_a_shared_past_does(tiny_model: LiveModel) -> None:
    """What a GPU does instead."""
    paper = make_paper(8_000_015, 2, "dense", 4, "canonical")
    (windows,) = Candidates(tiny_model, [paper], "cpu").windows
    policy = make("random", 0.5, tiny_model.facts.layers)
    prompts = [assemble(tiny_model.model, windows, policy.compress(windows), qa.text) for qa in paper.asked]
    pruners = [policy.prune(prompt.asked(tiny_model.facts.layers)) for prompt in prompts]
    shared = answer_together(tiny_model.model, prompts, pruners[0], limit=6)
    whole = answer_each(tiny_model.model, prompts, pruners, limit=6)
    assert [one.ids for one in whole] == [one.ids for one in shared]
    assert [[len(rows) for rows in one.alive] for one in whole] == [[len(rows) for rows in one.alive] for one in shared]
    fastv = make("fastv", 0.5, tiny_model.facts.layers).prune(prompts[0].asked(tiny_model.facts.layers))
    with pytest.raises(ValueError, match="do not share their past"):
        answer_together(tiny_model.model, prompts, fastv, limit=6)


def test_survivors_name_tokens_of_the_recording(tiny_model: LiveModel) -> None:
    papers = [make_paper(8_000_013, 3, "dense", 2, "canonical")]
    candidates = Candidates(tiny_model, papers, "cpu")
    whole = _done(candidates, Job("all"))[0].survivors
    assert whole.token.max() + 1 == max(whole.raw.max(axis=0))
    assert np.array_equal(np.bincount(whole.window), whole.raw.sum(axis=1))
    # what enters the decoder of the live form is what entered the paper's: the same compression
    live, paper = (_done(candidates, job)[0] for job in (Job("live", deep_share=0.3), Job("omnidrop", retention=0.55)))
    for name in ("window", "modality", "token"):
        assert np.array_equal(getattr(live.survivors, name), getattr(paper.survivors, name))
    for done in (live, paper):
        counts = done.survivors.by_layer_and_window()
        assert counts.sum(axis=1).tolist() == [
            sum(one.alive[at] for one in done.predictions) for at in range(len(counts))
        ]
        assert done.answered.survivors == tuple(map(tuple, counts.tolist()))


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


def test_rivals_are_set_to_cost_what_the_live_form_costs(tiny_model: LiveModel) -> None:
    papers = [make_paper(8_000_014, 6, "dense", 2, "canonical")]
    candidates = Candidates(tiny_model, papers, "cpu")
    equaliser = Equaliser(tiny_model, candidates.windows[0], papers[0].asked[0].text)
    (live,) = _answers(candidates, Job("live", deep_share=0.5))
    retention, flops = equaliser.live(0.5)
    assert live[0].retention == pytest.approx(retention)
    assert live[0].flops_after == live[0].flops_in_store == flops
    reached = set()
    for policy in RIVALS:
        for job in (Job(policy, retention_of=0.5), Job(policy, flops_of=0.5)):
            solved = equaliser.solve(job)
            if isinstance(solved, Unreachable):
                assert not solved.low * 0.98 <= flops <= solved.high * 1.02
                continue
            done = candidates.run(job, retention=solved)
            if isinstance(done, Unreachable):
                assert not done.low <= retention <= done.high
                continue
            said = done[0].predictions[0]
            reached.add((policy, job.flops_of is not None))
            if job.flops_of is not None:
                assert said.flops_in_store == pytest.approx(flops, rel=0.05), policy
            elif policy not in ("omnizip", "dash"):  # in so small frames sound alone is more than their budget
                assert said.retention == pytest.approx(retention, abs=0.02), policy
    assert {("random", True), ("random", False), ("window", True)} <= reached
    with pytest.raises(ValueError, match="is not to equal a live row"):
        equaliser.solve(Job("random", retention=0.3))


def test_a_run_that_was_killed_ends_where_it_would_have_ended(
    tiny_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["--model", str(tiny_directory), "--streams", "2", "--windows", "2", "--split", "dense", "--questions"]
    command += ["2", "--policy", "live,random,fastv", "--retention", "0.4", "--deep-share", "0.3", "--threads", "1"]
    command += ["--batch", "1", "--dump", str(tmp_path / "dump"), "--out"]
    assert main([*command, str(tmp_path / "whole.jsonl")]) == 0
    whole = json.loads(capsys.readouterr().out.splitlines()[-1])
    run, left = Candidates.run, iter(range(7))

    def killed(self: Candidates, *args: Any, **named: Any) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return run(self, *args, **named)

    monkeypatch.setattr(Candidates, "run", killed)
    shutil.rmtree(tmp_path / "dump")
    with pytest.raises(KeyboardInterrupt):
        main([*command, str(tmp_path / "half.jsonl")])
    assert len((tmp_path / "half.jsonl").read_text().splitlines()) == 1 + 4 + 7  # head, solved, outcomes
    monkeypatch.setattr(Candidates, "run", run)
    capsys.readouterr()
    assert main([*command, str(tmp_path / "half.jsonl")]) == 0
    again = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (again["rows"], again["comparisons"]) == (whole["rows"], whole["comparisons"])


def test_the_command_prints_a_table_and_one_line_and_resumes(
    tiny_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--model", str(tiny_directory), "--streams", "2", "--windows", "2", "--split", "dense", "--questions"]
    command += ["2", "--policy", "live,ttm", "--retention", "0.3", "--deep-share", "0.2", "--threads", "1"]
    command += ["--out", str(tmp_path / "run.jsonl"), "--dump", str(tmp_path)]
    assert main(command) == 0
    first = capsys.readouterr()
    result = json.loads(first.out.splitlines()[-1])
    assert list(result)[:5] == ["bench", "split", "windows", "seed", "rows"]
    assert (result["bench"], result["split"], result["windows"], result["seed"]) == ("quality", "dense", 2, 8_000_000)
    assert [one["policy"] for one in result["rows"]] == ["all", "live", "ttm", "live", "ttm", "ttm"]
    assert len(result["rows"][2]["unreachable"]) == 2
    assert result["decoding"] == {**result["decoding"], "method": "greedy", "dtype": "float32", "fusion_depth": 3}
    assert first.out.splitlines()[0].startswith("policy")
    dump = tmp_path / "dense-2"
    dumped = [json.loads(line) for line in (dump / "predictions.jsonl").read_text().splitlines()]
    assert len(dumped) == sum(one["n"] for one in result["rows"])
    assert {"seed", "text", "answer", "category", "cut", "right", "predicted", "policy", "target"} <= set(dumped[0])
    for line in dumped:
        depth = Survivors.load(dump / line["survivors"]).depth[line["question"]]
        assert [int((depth > layer).sum()) for layer in range(6)] == line["predicted"]["alive"]
    assert main(command) == 0
    again = capsys.readouterr()
    assert "streams" not in again.err
    assert json.loads(again.out.splitlines()[-1])["rows"] == result["rows"]


def test_the_policy_of_the_researchers_page_is_a_row(
    tiny_model: LiveModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "researchers.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    code, entry, looking = (
        next(block for block in blocks if what in block) for what in ("class EveryOther", "lambda", "np.load")
    )
    known: dict[str, Any] = {}
    exec(code, known)
    makers = eval("{" + entry + "}", known)
    monkeypatch.setattr("pruner.policies._MAKERS", makers)
    candidates = Candidates(tiny_model, [make_paper(8_000_000, 3, "dense", 2, "canonical")], "cpu")
    (done,) = _done(candidates, Job("every_other"))
    assert done.predictions[0].retention == pytest.approx(0.5, abs=0.01)
    assert done.predictions[0].flops_after < done.predictions[0].flops_in_store < done.predictions[0].flops
    done.survivors.save(tmp_path / "dump/needle-16/live-deep-10/8000000.npz")
    monkeypatch.chdir(tmp_path)
    exec(looking, {})


def test_missing_weights_are_said_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", str(tmp_path), "--streams", "1", "--windows", "1", "--questions", "1"]) == 1
    assert "config.json" in capsys.readouterr().err
