"""Plots: everything a result says is drawn, the same bytes each time, and bad files are refused in words."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.plots.__main__ import main
from benchmarks.plots.look import spaced, style
from benchmarks.plots.reading import UnreadableError, read
from benchmarks.quality.jobs import LIVE, POLICIES, RIVALS, Job

MADE = {"date": "2026-11-22T12:00:00+00:00", "hardware": "a machine", "weights": "0123456789abcdef", "model": "nano"}


def _row(job: Job, retention: float, accuracy: float | None) -> dict[str, Any]:
    told = {"policy": job.policy, "target": job.targets()}
    if accuracy is None:
        return {**told, "accuracy": None, "n": 0, "unreachable": [0.3, 0.5]}
    return {
        **told,
        "retention": retention,
        "accuracy": accuracy,
        "confidence": [accuracy - 0.05, min(1.0, accuracy + 0.05)],
        "n": 128,
        "flops_in_store": int(1e9 * retention),
        "flops_after_question": int(5e8 * retention),
        "survivors": [[0.5, 0.6], [0.1, 0.2]],
    }


def _quality() -> dict[str, Any]:
    rows = [_row(Job("all"), 1.0, 0.98)]
    for number, policy in enumerate(POLICIES):
        rows.append(_row(Job(policy, retention=0.45), 0.45, 0.9 - number / 50))
        target = Job(policy, deep_share=0.1) if policy in LIVE else Job(policy, retention_of=0.1)
        rows.append(_row(target, 0.28, None if policy == "ttm" else 0.8 - number / 50))
    return {"bench": "quality", "split": "needle", "windows": 16, "rows": rows, **MADE}


def _long() -> dict[str, Any]:
    def aged(recall: float) -> dict[str, Any]:
        return {"n": 8, "recall": [recall, recall / 2, min(1.0, recall + 0.1)], "held": 0.5, "tokens": 9.0}

    rules = ("live", "window", "uniform_tokens")
    rows = [{"rule": rule, "n": 16, "by_age": {1: aged(0.9), 10: aged(0.4)}} for rule in rules]
    parts = {"guide_ms": 50.0, "encode_ms": 20.0, "fuse_ms": 20.0, "step_ms": 1.0}
    curve = [
        {"minute": minute, "resident_mib": 600.0, "session_bytes": 40 * 2**20 if minute != 2 else None}
        | ({"ttft_ms": 91.0, **parts} if minute != 2 else dict.fromkeys(("ttft_ms", *parts)))
        for minute in (1, 2, 3, 4)
    ]
    more = {"minutes": 12, "budget": 4096, "computed_bytes": 50 * 2**20, "curve": curve}
    return {"bench": "long", "rows": rows, **more, **MADE}


def _file(path: Path, *results: dict[str, Any]) -> Path:
    lines = ["$ python -m benchmarks.quality", "policy  accuracy"]
    for result in results:
        lines += ["a table", json.dumps(result)]
    path.write_text("\n".join(lines) + "\n")
    return path


def _words(path: Path) -> str:
    return " ".join(text.strip() for text in ElementTree.parse(path).getroot().itertext() if text.strip())


def test_a_result_becomes_its_plots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = _file(tmp_path / "found.txt", _quality(), _long())
    assert main([str(source), "--into", str(tmp_path / "plots")]) == 0
    said = capsys.readouterr().out.split()
    assert [Path(one).name for one in said] == [
        "quality-needle-16-nano-retention.svg",
        "quality-needle-16-nano-flops.svg",
        "quality-needle-16-nano-survivors.svg",
        "long-12-nano-recall.svg",
        "long-12-nano-session.svg",
    ]
    retention, flops, survivors, recall, session = (_words(Path(one)) for one in said)
    for name in (*LIVE, *RIVALS):
        assert name in retention
        assert name in flops
    assert "all tokens" in retention
    assert "live, deep 10 %" in survivors
    assert "uniform_tokens" in recall
    assert "computed" in session
    for words in (retention, flops, survivors, recall, session):
        assert f"python -m benchmarks.plots {source}" in words
        assert "a machine" in words
    assert all(Path(one).stat().st_size < 200_000 for one in said)


def test_the_same_numbers_give_the_same_bytes(tmp_path: Path) -> None:
    source = _file(tmp_path / "found.txt", _long())
    for folder in ("one", "two"):
        assert main([str(source), "--into", str(tmp_path / folder)]) == 0
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_every_method_can_be_told_apart_without_colours() -> None:
    rivals = [style(number, ours=False) for number in range(len(RIVALS))]
    ours = [style(number, ours=True) for number in range(len(LIVE))]
    drawn = [(str(one.dash), one.marker, one.width) for one in (*rivals, *ours)]
    assert len({*drawn}) == len(drawn)
    assert len({(one.colour, str(one.dash)) for one in rivals}) == len(rivals)


@given(st.lists(st.floats(-0.5, 1.5), max_size=25).map(sorted))
def test_names_at_the_ends_of_lines_never_overlap(wanted: list[float]) -> None:
    heights = spaced(wanted, 0.045)
    gap = min(0.045, 1 / max(1, len(wanted)))
    assert len(heights) == len(wanted)
    assert all(above - below >= gap - 1e-9 for below, above in pairwise(heights))
    assert all(-1e-9 <= height <= 1 + 1e-9 for height in heights)


def test_names_that_are_far_apart_stay_where_they_are() -> None:
    assert spaced([0.1, 0.5, 0.9], 0.05) == [0.1, 0.5, 0.9]
    assert spaced([0.5, 0.5], 0.1) == pytest.approx([0.5, 0.6])


def test_files_without_results_are_refused_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    half, empty, other = tmp_path / "half.txt", tmp_path / "empty.txt", tmp_path / "other.txt"
    half.write_text('{"bench": "quality", "rows": [')
    empty.write_text("nothing\n")
    _file(other, {"bench": "speed", "rows": []})
    for path, said in ((half, "half a result"), (empty, "no result"), (tmp_path / "none", "cannot be read")):
        with pytest.raises(UnreadableError, match=said):
            read(path)
        assert main([str(path), "--into", str(tmp_path)]) == 1
    assert main([str(other), "--into", str(tmp_path)]) == 1
    assert "nothing that is drawn here" in capsys.readouterr().err


def test_without_matplotlib_it_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main([str(_file(tmp_path / "found.txt", _quality())), "--into", str(tmp_path)]) == 1
    assert "omnidrop-live[bench]" in capsys.readouterr().err
