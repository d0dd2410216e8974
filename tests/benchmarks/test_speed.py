"""The speed benchmark: arguments, the table, and a run on a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.report import table
from benchmarks.speed.__main__ import MODULES, _parser, main
from benchmarks.speed.bench import Bench
from benchmarks.speed.cold import Cold
from pruner import LiveModel
from pruner.oneshot import Decoding
from pruner.policies import Everything


def test_rows_and_ages_are_lists() -> None:
    chosen = _parser().parse_args(["--rows", "age,memory", "--minutes", "1,60"])
    assert (chosen.rows, chosen.minutes) == (("age", "memory"), (1, 60))
    assert _parser().parse_args([]).rows == tuple(MODULES)


@pytest.mark.parametrize(
    "arguments", [["--rows", "size"], ["--minutes", "0"], ["--minutes", "1,,5"], ["--dtype", "int8"]]
)
def test_bad_arguments_are_usage_errors(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        _parser().parse_args(arguments)
    assert stopped.value.code == 2


def test_tables_align_names_to_the_left_and_figures_to_the_right() -> None:
    found = table(["name", "value", "why"], [["a", "1.5", "so"], ["longer", "10.25", "because"]], left=(0, 2))
    assert found.splitlines() == [
        "name    value  why",
        "----------------------",
        "a         1.5  so",
        "longer  10.25  because",
    ]


@pytest.mark.default
def test_the_stock_prefill_is_the_same_computation_as_ours(tiny_model: LiveModel) -> None:
    bench = Bench(tiny_model, budget=600, repeats=1, minutes=(1,), retention=0.5)
    cold = Cold(bench)
    pruner = Everything().prune(cold.prompted.asked(tiny_model.facts.layers))
    ours = Decoding(tiny_model.model.stack, cold.prompted, pruner, limit=4)
    # transformers rounds norms and rotary angles to fp32
    torch.testing.assert_close(cold.prefill(), ours.logits, atol=1e-4, rtol=1e-4)
    cold.encode()
    assert cold.step().shape == ours.logits.shape


@pytest.mark.default
def test_the_command_prints_every_row_and_one_line(tiny_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "--model",
        str(tiny_directory),
        "--threads",
        "1",
        "--repeats",
        "1",
        "--budget",
        "300",
        "--minutes",
        "1,2",
    ]
    assert main(command) == 0
    printed = capsys.readouterr().out.splitlines()
    found = json.loads(printed[-1])
    assert (found["bench"], found["budget"]) == ("speed", 300)
    rows = {row["name"]: row for row in found["rows"]}
    assert rows["session bytes, measured ÷ computed"]["value"] <= 1.05
    assert {"first token at 1 min", "first token at 2 min", "decode step ÷ stock step"} <= set(rows)
    assert all(row["value"] > 0 for row in rows.values())
    assert len(printed) == len(rows) + 3


@pytest.mark.default
def test_a_missing_model_is_said_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", str(tmp_path)]) == 1
    assert "config.json" in capsys.readouterr().err
