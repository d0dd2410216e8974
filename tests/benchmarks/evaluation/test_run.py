"""Footage cut as a live source would be, and whole runs on a tiny model, broken off and taken up again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.evaluation import __main__ as command
from benchmarks.evaluation.footage import Footage
from benchmarks.evaluation.formats import BENCHMARKS
from stream_service.cli import main as omnidrop

from .conftest import SECONDS

Published = Callable[[str], Path]
pytestmark = pytest.mark.default


def test_a_file_is_cut_as_it_flows(published: Published) -> None:
    video = next(published("worldsense").rglob("*.mp4"))
    footage = Footage(video, 36, 64)
    first, second, third = footage.windows(2.6), footage.windows(4.0), footage.windows(None)
    windows = list(first)
    assert [(one.start, one.seconds) for one in windows] == [(0.0, 2), (2.0, 1)]
    assert windows[0].frames is not None
    assert windows[0].frames.shape == (4, 36, 64, 3)
    grey = [float(frame.mean()) for one in windows if one.frames is not None for frame in one.frames]
    assert np.allclose(grey[:6], [0, 20, 40, 60, 80, 100], atol=8), "the frames on at 0, 0.5, … s"
    assert windows[1].samples is not None
    assert np.abs(windows[1].samples[:9_000]).max() > 0.3
    assert not windows[1].samples[9_600:].any(), "nothing after 2.6 s is heard"
    assert [(one.start, one.seconds) for one in second] == [(3.0, 1)]
    assert footage.position == 4
    assert sum(one.seconds for one in third) == SECONDS - 4
    footage.close()


def _run(benchmark: str, data: Path, model: Path, out: Path, *more: str) -> int:
    setting = ["--benchmark", benchmark, "--data", str(data), "--model", str(model), "--out", str(out)]
    return command.main([*setting, "--budget", "1000", "--tokens", "2", "--retention", "0.4", *more])


@pytest.mark.parametrize("benchmark", list(BENCHMARKS))
@pytest.mark.parametrize("policy", ["live", "omnidrop"])
def test_a_whole_run(
    benchmark: str,
    policy: str,
    published: Published,
    tiny_directory: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, out = published(benchmark), tmp_path / "run.jsonl"
    assert _run(benchmark, data, tiny_directory, out, "--policy", policy) == 0
    *_, last = capsys.readouterr().out.splitlines()
    result: dict[str, Any] = json.loads(last)
    assert (result["bench"], result["benchmark"], result["policy"]) == ("evaluation", benchmark, policy)
    lines = out.read_text(encoding="utf-8").splitlines()
    assert result["questions"] == len(lines) - 1 >= 2
    assert 0 <= result["unreadable"] <= result["questions"]
    assert result["right"]["share"] <= 1 - result["unreadable"] / result["questions"] + 1e-9
    # broken off in the middle of its last line, it goes on from there
    out.write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:5], encoding="utf-8")
    assert _run(benchmark, data, tiny_directory, out, "--policy", policy) == 0
    assert out.read_text(encoding="utf-8").splitlines() == lines
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["right"] == result["right"]
    # finished, it needs no model; with another setting it is another run
    monkeypatch.setattr(command, "LiveModel", None)
    assert _run(benchmark, data, tiny_directory, out, "--policy", policy) == 0
    assert _run(benchmark, data, tiny_directory, out, "--policy", policy, "--dtype", "float16") == 2
    assert "another dtype" in capsys.readouterr().err


def test_a_file_that_cannot_be_decoded_is_named_and_replies_so_far_are_kept(
    published: Published, tiny_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = published("daily-omni"), tmp_path / "run.jsonl"
    questions = json.loads((data / "qa.json").read_text(encoding="utf-8"))
    questions[1]["video_id"] = "torn"
    (data / "qa.json").write_text(json.dumps(questions), encoding="utf-8")
    torn = data / "Videos" / "torn" / "torn_video.mp4"
    torn.parent.mkdir()
    torn.write_bytes(bytes(1000))
    assert _run("daily-omni", data, tiny_directory, out) == 2
    assert f"{torn} cannot be decoded (Invalid data found" in capsys.readouterr().err
    assert [json.loads(line)["id"] for line in out.read_text(encoding="utf-8").splitlines()[1:]] == ["0"]
    torn.write_bytes((data / "Videos" / "clip" / "clip_video.mp4").read_bytes())
    assert _run("daily-omni", data, tiny_directory, out) == 0


def test_the_command_names_its_file_itself_and_refuses_what_no_stream_reaches(
    published: Published,
    tiny_directory: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["eval", "--benchmark", "avut", "--data", str(published("avut")), "--model", str(tiny_directory)]
    assert omnidrop([*asked, "--retention", "0.05", "--tokens", "2"]) == 2
    assert "cannot be reached; reachable is" in capsys.readouterr().err
    assert omnidrop([*asked, "--retention", "1", "--policy", "all", "--tokens", "2"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["questions"] == 2
    assert (tmp_path / f"avut-{tiny_directory.name}-all-1.jsonl").exists()
    with pytest.raises(SystemExit):
        omnidrop([*asked, "--policy", "best"])
    assert "choose from" in capsys.readouterr().err
