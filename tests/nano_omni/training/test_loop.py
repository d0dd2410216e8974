"""A whole training run in small: every stage, its checkpoints, going on from one, the exam, and carrying it away."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from nano_omni import facts
from nano_omni.training.carry import main as carry
from nano_omni.training.carry import pack, unpack
from nano_omni.training.loop import Run, parser
from nano_omni.training.rows import all_rows
from nano_omni.training.trainer import Stage

SMALL = {"seconds": 16, "long_windows": 8, "short_windows": 16, "tokens": 1536, "labels": 512, "ids": 4096}
LENGTHS = {"windows": [[4, 0.5], [8, 0.5]], "fewest_slots": 3, "slots_per_window": 0.5}


def ticking(step: float) -> Callable[[], float]:
    """A clock on which every look takes `step` seconds."""
    times = iter(float(at) * step for at in range(10**6))
    return lambda: next(times)


def arguments(out: Path, **more: str) -> argparse.Namespace:
    out.mkdir(parents=True, exist_ok=True)
    options = {
        "minutes": "1", "out": str(out), "workers": "0", "log-every": "2", "save-every": "1000",
        "capacity": json.dumps(SMALL), "mix": json.dumps(LENGTHS), **more,
    }  # fmt: skip
    return parser().parse_args(["--tiny", *(text for name, value in options.items() for text in (f"--{name}", value))])


def weights(directory: Path) -> dict[str, torch.Tensor]:
    with safe_open(directory / "model.safetensors", "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run of ten steps or so through all stages."""
    path = tmp_path_factory.mktemp("run")
    Run(arguments(path, seed="3", **{"profile-after": "1"}), ticking(2.0), every=2).train()
    return path


@pytest.mark.default
def test_a_run_goes_through_all_stages_and_leaves_what_it_promises(out: Path) -> None:
    lines = [json.loads(line) for line in (out / "train0.log").read_text().splitlines()]
    assert lines[0]["stage"] == "TOWERS"
    assert {line["stage"] for line in lines} == {"TOWERS", "WHOLE", "PRUNED"}
    assert all(line["loss"] == line["loss"] for line in lines)
    assert {path.name for path in out.iterdir()} >= {"start", "whole", "final", "state.pt", "train0.log"}
    assert all("mm" in (out / f"profile-{stage.name}.txt").read_text() for stage in (Stage.WHOLE, Stage.PRUNED))
    known = facts(out / "final")
    assert (known.max_windows_trained, known.position_limit, known.fusion_depth) == (64, 3600, 2)


@pytest.mark.default
def test_the_towers_stay_what_they_were_when_nothing_had_ever_been_dropped(out: Path) -> None:
    start, whole, final = (weights(out / name) for name in ("start", "whole", "final"))
    assert start.keys() == whole.keys() == final.keys()
    for name, now in final.items():
        if "visual." in name or "audio_tower." in name:
            assert now.equal(whole[name]), name
    moved = [name for name in final if not final[name].equal(whole[name])]
    learnt = [name for name in whole if not whole[name].equal(start[name])]
    assert any("layers.0" in name for name in moved)
    assert any("visual." in name for name in learnt)
    assert any("audio_tower." in name for name in learnt)


@pytest.mark.default
def test_weights_that_were_trained_are_trained_on_without_the_towers_alone(out: Path, tmp_path: Path) -> None:
    plan = json.dumps({"towers": 0.0, "short": 0.0, "fall": 0.3, "whole": 0.5})
    run = Run(arguments(tmp_path, resume=str(out / "whole"), plan=plan), ticking(5.0), every=1)
    assert not run.trainer.frozen
    run.train()
    lines = [json.loads(line) for line in (tmp_path / "train0.log").read_text().splitlines()]
    assert lines[0]["stage"] == "WHOLE"
    before, whole, final = (weights(path) for path in (out / "whole", tmp_path / "whole", tmp_path / "final"))
    towers = [name for name in before if "visual." in name or "audio_tower." in name]
    assert any(not whole[name].equal(before[name]) for name in towers)
    assert all(final[name].equal(whole[name]) for name in towers)
    assert not all(final[name].equal(whole[name]) for name in final)


@pytest.mark.default
def test_a_run_goes_on_where_it_was_interrupted(out: Path, tmp_path: Path) -> None:
    state = torch.load(out / "state.pt", weights_only=True)
    assert state["frozen"]
    assert state["progress"] == 1.0
    state["progress"] = 0.7
    torch.save(state, tmp_path / "state.pt")
    run = Run(arguments(tmp_path, resume=str(out / "start"), **{"resume-state": str(tmp_path / "state.pt")}))
    assert run.moment == 0.7
    again = run.trainer.state()
    assert run.trainer.frozen
    for part in ("weights", "muon"):
        assert state[part].keys() == again[part].keys()
        assert all(state[part][name].equal(again[part][name]) for name in state[part])
    assert state["adam"].keys() == again["adam"].keys()
    assert not any("visual" in name or "heads" in name for name in again["adam"])


@pytest.mark.default
def test_the_exam_of_both_checkpoints_is_written_and_printed(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = {"all tokens 4", "compressed 4"}
    rows = [row for row in all_rows() if row.name in wanted]
    Run(arguments(out, resume=str(out / "final"), **{"exam-batches": "1"}), rows=rows).examine()
    printed = capsys.readouterr().out
    for name in ("final", "whole"):
        results = json.loads((out / f"exam-{name}.json").read_text())
        assert {result["row"] for result in results} == wanted
        assert all(result["n"] > 0 and 0 <= result["exact"] <= 1 and result["by_category"] for result in results)
        assert name in printed


def test_the_table_holds_what_is_demanded_of_the_model() -> None:
    names = {row.name for row in all_rows()}
    assert len(names) == len(all_rows())
    for kind in ("all tokens", "compressed"):
        assert {f"{kind} {length}" for length in (4, 8, 16, 32, 64)} <= names
        assert f"needle {kind} 16" in names
    assert {"held-out phrasings 16", "word errors 5 % 16", "word errors 10 % 16", "word errors 20 % 16"} <= names
    assert {"deep 30 % 16", "needle deep 10 % 16", "needle random at the input 30 % 16", "long, stored 256"} <= names


def test_what_is_carried_arrives_whole_or_not_at_all(tmp_path: Path) -> None:
    source = tmp_path / "final"
    source.mkdir()
    (source / "weights").write_bytes(bytes(range(256)) * 400)
    (source / "config.json").write_text("{}")
    parts = pack([source], tmp_path / "parts", part_bytes=40_000)
    assert all(part.stat().st_size <= 40_000 for part in parts)
    assert len(parts) == 4
    (back,) = unpack(tmp_path / "parts", tmp_path / "there")
    assert (back / "weights").read_bytes() == (source / "weights").read_bytes()
    parts[1].write_bytes(b"x" + parts[1].read_bytes()[1:])
    with pytest.raises(ValueError, match=r"final.tar.1 has changed"):
        unpack(tmp_path / "parts", tmp_path / "there")
    parts[1].unlink()
    with pytest.raises(ValueError, match=r"final.tar.1 is missing"):
        carry(["unpack", str(tmp_path / "parts"), "--out", str(tmp_path / "there")])
