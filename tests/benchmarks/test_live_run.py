"""One episode of the live benchmark against the real service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.live import plan
from benchmarks.live.__main__ import main
from nano_omni import weights_dir
from nano_omni.build import build

pytestmark = pytest.mark.default


def test_an_episode_goes_from_the_camera_to_the_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SHORTEST", "LONGEST"):
        monkeypatch.setattr(plan, name, 4)
    model = weights_dir()
    if not model.exists():
        model = tmp_path / "nano"
        build(model)
    assert main(["--episodes", "1", "--seed", "8100002", "--model", str(model)]) == 0
    printed = capsys.readouterr().out.splitlines()
    found = json.loads(printed[-1])
    assert (found["bench"], found["episodes"], found["answered"]) == ("live", 1, 1)
    assert (found["windows_lost"], found["packets_lost"]) == (0, 0)
    assert found["av_skew_ms_p95"] <= 40
    assert 300 < found["ttft_ms_p50"] < 10_000
    assert found["rows"][0]["ended"] == "answered"
    assert any(line.startswith("    heard   ") for line in printed)


def test_a_service_that_does_not_start_is_reported_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.live.__main__.film", lambda script, path: None)
    assert main(["--episodes", "1", "--model", str(tmp_path / "nowhere")]) == 1
    assert "the service did not start" in capsys.readouterr().err
