"""Whole calibrations: the built-in model on its scenes, a tiny one on videos."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.report import fingerprint
from nano_omni import weights_dir
from stream_service.cli import main as omnidrop
from stream_service.config import load
from tests.benchmarks.evaluation.conftest import _worldsense

pytestmark = pytest.mark.default


def test_the_built_in_model_is_calibrated_for_its_service(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "nano.yaml"
    small = ["--limit", "3", "--windows", "2", "--questions", "1"]
    assert omnidrop(["calibrate", "--deep-share", "0.3", "--out", str(out), *small]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    result = json.loads(last)
    engine = load(out, {}).engine
    assert engine.model == "nano"
    assert result["weights"] == fingerprint(weights_dir())
    for name, value in result["chosen"].items():
        assert getattr(engine, name) == value, name
    assert [len(scores) for scores in result["rounds"]] == [8, 3]
    default, *_, everything = result["final"]
    assert default["realised_deep_share"] == pytest.approx(0.3, abs=0.02)
    assert everything["realised_deep_share"] == 1
    assert default["realised_retention"] < everything["realised_retention"]
    assert omnidrop(["calibrate", "--retention", "0.05", "--out", str(out)]) == 2
    assert "reachable is" in capsys.readouterr().err


def test_another_model_is_calibrated_on_videos(
    tiny_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "data", tmp_path / "tiny.yaml"
    data.mkdir()
    _worldsense(data)
    (about,) = json.loads((data / "worldsense_qa.json").read_text(encoding="utf-8")).values()
    (data / "worldsense_qa.json").write_text(json.dumps(dict.fromkeys("abc", about)), encoding="utf-8")
    for name in "abc":
        shutil.copy(data / "videos" / "clip.mp4", data / "videos" / f"{name}.mp4")
    asked = ["calibrate", "--model", str(tiny_directory), "--retention", "0.4", "--out", str(out)]
    assert omnidrop(asked) == 2
    assert "--benchmark and --data" in capsys.readouterr().err
    asked += ["--benchmark", "worldsense", "--data", str(data), "--tokens", "2", "--diversity", ""]
    assert omnidrop(asked) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert omnidrop(asked) == 0
    again = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {**again, "date": ""} == {**result, "date": ""}, "nothing is left to chance"
    assert result["final"][0]["n"] == 2
    assert len({one["fusion_depth"] for one in result["rounds"][0]}) > 1, "depths are compared at equal retention"
    engine = load(out, {}).engine
    assert (engine.model, engine.frame_size) == (str(tiny_directory), (1280, 720))
