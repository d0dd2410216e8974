"""The benchmark of encoders: ways to cut sound into windows, and pictures that stand still."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.encoding import __main__ as command
from benchmarks.encoding import codec, hearing, still
from benchmarks.encoding.asking import compared
from benchmarks.encoding.rules import RULES, SERVED, Rule, features, whole
from pruner import LiveModel
from pruner.families.mel import LEFT_CONTEXT, SAMPLE_RATE, log_mel

SECONDS, BINS = 6, 80


@pytest.fixture(scope="module")
def clip() -> Tensor:
    """Quiet at first and at last, loud in between."""
    rng = np.random.default_rng(2)
    time = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE
    loud = np.where((time > 2) & (time < 4), 0.5, 0.0) * np.sin(2 * np.pi * 700 * time)
    return torch.from_numpy((loud + 1e-5 * rng.standard_normal(time.size)).astype(np.float32))


def _joined(clip: Tensor, rule: Rule) -> Tensor:
    return torch.cat(features(clip, rule, seconds=2, bins=BINS), dim=1)


def test_with_all_that_a_stream_lacks_windows_are_the_whole_clip(clip: Tensor) -> None:
    informed = Rule("informed", after="waited for", floor="clip")
    torch.testing.assert_close(_joined(clip, informed), whole(clip, bins=BINS), atol=2e-5, rtol=0)


def test_what_is_served_carries_the_past(clip: Tensor) -> None:
    left, loudest, found = None, None, []
    for window in clip.split(2 * SAMPLE_RATE):  # type: ignore[no-untyped-call]
        mel, loudest = log_mel(window[None], left, loudest, bins=BINS)
        left = window[None, -LEFT_CONTEXT:]
        found.append(mel[0])
    torch.testing.assert_close(_joined(clip, SERVED), torch.cat(found, dim=1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("rule", RULES[1:], ids=lambda rule: rule.name)
def test_every_other_way_is_another(clip: Tensor, rule: Rule) -> None:
    assert float((_joined(clip, rule) - _joined(clip, SERVED)).abs().max()) > 1e-3


def test_a_floor_that_forgets_lies_between_those_of_the_session_and_the_window(clip: Tensor) -> None:
    lowest = {
        floor: float(_joined(clip, Rule(floor, floor=floor))[:, 450:].min())
        for floor in ("so far", "forgetting", "window")
    }
    assert lowest["window"] < lowest["forgetting"] < lowest["so far"]
    assert lowest["so far"] - lowest["forgetting"] == pytest.approx(0.2 / 4, abs=1e-4), "a decade in 10 s"


def test_answers_are_compared_question_by_question() -> None:
    papers = [hearing.paper(seed, 4, 4) for seed in (8_000_000, 8_000_001)]
    truth = [[asked.answer for asked in paper.asked] for paper in papers]
    assert all(1 < len(some) <= 4 for some in truth)
    wrong = [["?", *some[1:]] for some in truth]
    told = compared(papers, wrong, truth)
    count = sum(map(len, truth))
    assert told["n"] == count
    assert told["accuracy"] == told["same_answers"] == round(1 - 2 / count, 5)
    assert told["difference"] == pytest.approx([-2 / count] * 3, abs=0.13)


def test_cameras_differ_in_nothing_but_how_they_look() -> None:
    papers = [still.paper(8_000_002, 4, "long", camera, 6) for camera in still.CAMERAS]
    assert len({paper.asked for paper in papers}) == 1
    assert len({replace(paper.script, appearance=papers[0].script.appearance) for paper in papers}) == 1
    assert [paper.script.appearance.shake for paper in papers[:3]] == [0, 0, 0]
    assert papers[3].script.appearance.shake > 0


@pytest.mark.default
def test_a_screen_is_shared_without_loss_and_a_hand_never_is(tiny_model: LiveModel) -> None:
    screen, *_, hand = still.CAMERAS
    for camera in (screen, hand):
        papers = [still.paper(8_000_002, 4, "long", camera, 2)]  # one scene, in which nothing moves
        off, exact, all_alike = still.rows(tiny_model, papers, camera, [0.0, 255.0])
        assert (off["still_change"], off["shared"], off["tokens"]) == (None, 0, 0)
        assert (exact["same_answers"], exact["tokens"]) == (1, 0)
        assert exact["shared"] == (7 / 8 if camera is screen else 0)
        assert all_alike["shared"] == 7 / 8
        assert (all_alike["tokens"] > 0.01) == (camera is hand)


@pytest.mark.default
@pytest.mark.parametrize(("what", "rows"), [("hearing", 2 * (1 + len(RULES))), ("still", 2 * 4 * 2)])
def test_the_command(what: str, rows: int, tiny_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--streams", "1", "--windows", "3", "--questions", "1", "--threads", "1", "--still-change", "4"]
    assert command.main([what, "--model", str(tiny_directory), *few]) == 0
    lines = capsys.readouterr().out.splitlines()
    result = json.loads(lines[-1])
    assert len(result["rows"]) == rows == len(lines) - 3
    assert {one["n"] for one in result["rows"] if "n" in one} == {1}
    if what == "hearing":
        reference, served = result["rows"][:2]
        assert reference["tokens"] == 0
        assert 0 < served["tokens"] < 0.1


@pytest.mark.default
def test_a_codec_and_a_sensor_change_a_still_picture_a_little(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tiny_directory: Path
) -> None:
    monkeypatch.setattr(codec, "WAYS", (codec.Way(0.0, 1000), codec.Way(6.0, 1000)))
    monkeypatch.setattr(codec, "_SECONDS", 3)
    few = ["--model", str(tiny_directory), "--streams", "1", "--threads", "1", "--still-change", "0,255"]
    assert command.main(["codec", *few]) == 0
    lines = capsys.readouterr().out.splitlines()
    fine, coarse = json.loads(lines[-1])["rows"]
    assert len(lines) == 2 + 2 + 1
    assert 0 < fine["change"][0] < coarse["change"][0] <= coarse["change"][2] < 30
    assert coarse["shared"] == {"0": 0, "255": round(2 / 3, 4)}


def test_thresholds_that_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["still", "--still-change", "256"])
    assert "0 to 255" in capsys.readouterr().err
