"""The sensitivity benchmark with models: written and spoken questions, and a model that hears none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.sensitivity import __main__ as command
from benchmarks.sensitivity.wordings import WORDINGS
from nano_omni.world import QA
from pruner.question import Speech

pytestmark = pytest.mark.default
FEW = ["--streams", "1", "--windows", "2", "--questions", "2", "--threads", "1", "--deep-share", "0.5"]


def test_every_wording_of_every_method_is_a_row(tiny_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--model", str(tiny_directory), *FEW]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [(one["policy"], one["phrasing"], one["errors"]) for one in result["rows"]] == [
        (policy, wording.phrasing, wording.errors) for policy in ("all", "live") for wording in WORDINGS
    ]
    assert {one["n"] for one in result["rows"]} == {2}
    assert result["guidance"] == "text"
    assert result["decoding"]["method"] == "greedy"


def test_speech_guides_models_that_hear_questions(
    tiny_directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = []

    def speak(asked: Sequence[Sequence[QA]], folder: Path) -> list[list[Speech]]:
        spoken.append([[qa.text for qa in some] for some in asked])
        noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
        return [[noise for _ in some] for some in asked]

    monkeypatch.setattr(command, "speak", speak)
    assert command.main(["--model", str(tiny_directory), *FEW, "--guidance", "speech"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [(one["policy"], one["phrasing"]) for one in result["rows"]] == [
        ("live", phrasing) for phrasing in ("canonical", "trained", "held_out")
    ]
    assert len(spoken) == 3


def test_the_built_in_model_is_not_asked_by_speech(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([*FEW, "--guidance", "speech"]) == 1
    said = capsys.readouterr().err
    assert "never trained to take a question from speech" in said
    assert "--guidance text" in said


def test_speech_comes_at_the_models_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.live.voice import Utterance, Voice
    from benchmarks.sensitivity.spoken import speak

    tone = (8_000 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)).astype(np.int16)
    monkeypatch.setattr(Voice, "say", lambda self, text: Utterance(tone))
    ((speech,),) = speak([[QA("What?", "a horn.", "av.sound", 2)]], tmp_path)
    assert speech.dtype == np.float32
    assert abs(len(speech) - 16_000) <= 16
    middle = speech[2_000:14_000]
    assert np.abs(middle).max() == pytest.approx(8_000 / 32_768, rel=0.02)
    assert np.abs(np.fft.rfft(middle)).argmax() * 16_000 / len(middle) == pytest.approx(440, abs=2)
