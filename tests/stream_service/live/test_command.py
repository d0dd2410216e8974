"""``omnidrop ask`` and ``omnidrop stream`` with the real engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stream_service.answers import events
from tests.stream_service.live.conftest import Server

pytestmark = [pytest.mark.default, pytest.mark.timeout(300)]


def omnidrop(*arguments: str | Path, model: str = "nano") -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"OMNIDROP_ENGINE__MODEL": model, "OMNIDROP_ENGINE__THREADS": "1"}
    command = [sys.executable, "-m", "stream_service", *map(str, arguments)]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=200, check=False)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds of the scene world, as a file."""
    folder = tmp_path_factory.mktemp("clip")
    path, truth = folder / "clip.mp4", folder / "truth.json"
    world = ["-m", "nano_omni.world", "--seed", "7", "--windows", "4", "--split", "dense"]
    subprocess.run([sys.executable, *world, "--out", path, "--truth", truth], check=True, timeout=200)
    return path


def test_asking_a_clip(model: str, clip: Path) -> None:
    done = omnidrop("ask", clip, "What colour is the circle?", "--retention", "0.3", "--json", model=model)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    assert (answer["windows"], answer["seconds"]) == (4, 8.0)
    assert answer["retention"] == pytest.approx(0.3, abs=0.01)
    assert len(answer["tokens_per_layer"]) == 12
    assert answer["answer"]


@pytest.mark.parametrize("retention", ["0.99", "0.01"])
def test_a_retention_out_of_reach_states_the_range(model: str, clip: Path, retention: str) -> None:
    done = omnidrop("ask", clip, "What colour is the circle?", "--retention", retention, model=model)
    assert (done.returncode, done.stdout) == (2, "")
    assert "reachable is 0." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_corrupt_clip_is_bad_input(model: str, clip: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip.read_bytes()[:5000])
    done = omnidrop("ask", cut, "What colour is the circle?", model=model)
    assert (done.returncode, done.stdout) == (2, "")
    assert "cut.mp4" in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_weights_say_where_they_were_looked_for(clip: Path) -> None:
    done = omnidrop("ask", clip, "What colour is the circle?", model="/nowhere/at/all")
    assert (done.returncode, done.stdout) == (1, "")
    assert "/nowhere/at/all" in done.stderr
    assert "Traceback" not in done.stderr


def test_streaming_a_clip_and_asking_aloud(server: Server, clip: Path, tmp_path: Path) -> None:
    question = tmp_path / "question.wav"
    subprocess.run(["flite", "-voice", "rms", "-t", "What colour is the circle?", "-o", question], check=True)
    done = omnidrop("stream", clip, "--server", server.url, "--say", question, "--json")
    assert done.returncode == 0, done.stderr
    told = [events.EVENT.validate_json(line) for line in done.stdout.splitlines()]
    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    (accepted,) = [event for event in told if isinstance(event, events.QuestionAccepted)]
    assert accepted.source == "speech"
    # How well speech is understood over the sounds of a scene is measured by `make bench-live`.
    assert accepted.text.replace("color", "colour").startswith("What colour")
    (started,) = [event for event in told if isinstance(event, events.AnswerStarted)]
    assert accepted.timings_ms["hang_over"] <= started.ttft_ms
    assert isinstance(told[-1], events.AnswerDone | events.SessionClosed)
