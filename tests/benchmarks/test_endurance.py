"""The endurance benchmark: what is called flat, and a short stream to the real service with random weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.endurance import __main__ as endurance
from benchmarks.endurance.checkpoint import main as write_checkpoint
from benchmarks.endurance.device import DeviceMemory, is_flat
from benchmarks.endurance.stream import _judge, _spread
from benchmarks.faults.outcome import Outcome
from benchmarks.faults.watcher import Event, Watcher
from benchmarks.speed.shapes import SHAPES, write
from pruner import Ask, LiveModel, TurnOptions


def test_memory_is_flat_when_the_end_holds_no_more_than_the_second_quarter() -> None:
    warm = [100.0, 400.0]
    assert is_flat([*warm, *[500.0] * 6])
    assert is_flat([*warm, *[500.0] * 5, 509.0])
    assert not is_flat([*warm, *[500.0] * 5, 511.0])
    assert not is_flat([])


async def test_a_processor_has_no_device_memory() -> None:
    async with DeviceMemory("cpu") as held:
        pass
    assert held.mib == []


async def test_a_gpu_is_asked_for_what_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\ncase "$*" in *--id=1*) echo 1234;; esac\n', encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    held = DeviceMemory("cuda:1")
    assert await held.sample() == 1234.0
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert await DeviceMemory("cuda").sample() == 1234.0
    tool.write_text("#!/bin/sh\necho no devices were found\n", encoding="utf-8")
    assert await held.sample() is None


def _window(start: float) -> Event:
    fused = {"encode_ms": 5.0, "fuse_ms": 7.0, "store_tokens": 60, "coverage": 1.0}
    return {"type": "window.fused", "start": start, "end": start + 2.0, **fused}


def _judged(events: list[Event], questions: list[str]) -> Outcome:
    outcome, watcher = Outcome("endurance"), Watcher("http://nowhere", "s")
    watcher.events, watcher.reconnections = events, 0
    _judge(outcome, watcher, questions)
    return outcome


def test_what_is_lost_or_unanswered_breaks_its_promise() -> None:
    done = {"type": "answer.done", "question": "q", "timings_ms": {"encode": 1.0, "fuse": 2.0, "guide": 3.0}}
    good = _judged([_window(0.0), _window(2.0), done], ["q"])
    assert good.passed
    assert (good.figures["windows"], good.figures["window_fuse_ms_p50"]) == (2, 7.0)
    hole = _judged([_window(0.0), _window(4.0)], [])
    assert hole.figures["windows_lost"] == 1
    assert not hole.checks["no window is lost"]
    assert not _judged([_window(0.0)], ["q"]).checks["every question is answered"]
    late = {"type": "overload", "action": "frames", "windows": 0, "frames": 4}
    assert not _judged([_window(0.0), late], []).checks["the server never fell behind"]


def test_spreads_are_tenths_and_empty_without_values() -> None:
    assert _spread("x", [1.04, 9.0]) == {"x_p50": 1.0, "x_p95": 9.0}
    assert _spread("x", []) == {"x_p50": None, "x_p95": None}


@pytest.mark.default
def test_written_weights_are_loaded_as_any_checkpoint(tmp_path: Path) -> None:
    assert write_checkpoint(["tiny", str(tmp_path), "--dtype", "float32"]) == 0
    live = LiveModel.load(tmp_path)
    assert (live.facts.layers, live.facts.fusion_depth, live.facts.height) == (6, 3, 84)
    assert live.model.prompt.end[0] in live.model.prompt.stop


@pytest.mark.default
def test_answers_of_written_weights_can_be_read_whatever_the_vocabulary(tmp_path: Path) -> None:
    tiny = SHAPES["tiny"]
    write(replace(tiny, text=tiny.text | {"vocab_size": 20_000}), tmp_path, device="cpu", dtype=torch.float32)
    live = LiveModel.load(tmp_path)
    (turn,) = live.guide([Ask(live.open(budget=200), "What?", TurnOptions(max_tokens=40))])
    while not live.step([turn])[0].done:
        pass
    assert max(turn.ids) < 768
    assert turn.text


@pytest.mark.default
def test_nothing_of_a_short_stream_is_lost(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endurance, "_CLIP_WINDOWS", 2)
    endurance.main(["--model", "tiny", "--minutes", "0.1", "--ask-every", "3", "--set", "engine.max_answer_tokens=4"])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["bench"], found["weights"]) == ("endurance", "random")
    promises = ("no window is lost", "every question is answered", "no event is lost or doubled")
    assert [found["checks"][promise] for promise in promises] == [True] * 3, found["checks"]
    assert found["windows"] >= 2
    assert found["questions"] >= 1
    assert found["answer_guide_ms_p50"] > 0
