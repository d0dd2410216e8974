"""The speed benchmark: arguments, floors, targets, the journal, the plot, and runs on tiny models."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import benchmarks.plots.__main__ as plots
import benchmarks.speed.__main__ as speed
from benchmarks.report import table
from benchmarks.speed.arguments import parse
from benchmarks.speed.bench import Bench, Row, Setting, words
from benchmarks.speed.floors import Costs, Rates, Work
from benchmarks.speed.journal import Entry, Journal, JournalError
from benchmarks.speed.measures import age, generate, measures, prefill
from benchmarks.speed.report import as_json, as_text
from benchmarks.speed.shapes import SHAPES, build
from benchmarks.speed.stock import Stock
from benchmarks.speed.stopwatch import Laps, Times
from benchmarks.speed.targets import ratios
from pruner.flops import DecoderShape, layer_flops
from pruner.oneshot import Decoding
from pruner.policies import Everything

CPU = torch.device("cpu")
TINY = Setting("tiny", budget=300, repeats=1, retention=0.5, sessions=(1, 2), quick=True, graphs=("on", "off"))


def test_models_rows_and_ages_are_lists() -> None:
    chosen = parse(["--model", "7b,nano", "--rows", "memory,age-20", "--minutes", "20,60"])
    assert [one.name for one in chosen.settings] == ["7b", "nano"]
    assert [one.quick for one in chosen.settings] == [True, False]
    assert [one.graphs for one in chosen.settings] == [("on", "off"), ("auto",)]
    assert (chosen.measures, chosen.minutes) == (("age-20", "memory"), (20, 60))  # in the benchmark's own order
    assert parse([]).measures == tuple(measures((1, 5, 20, 60)))


def test_a_gpu_measures_in_its_own_format_and_gives_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (parse([]).dtype, parse([]).limit_s) == (torch.float32, 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    chosen = parse(["--device", "cuda"])
    assert chosen.dtype is torch.bfloat16
    assert 0 < chosen.limit_s < 120


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rows", "size"],
        ["--rows", "age-7"],
        ["--minutes", "0"],
        ["--minutes", "1,,5"],
        ["--dtype", "int8"],
        ["--device", "abacus"],
        ["--device", "meta"],
        ["--graphs", "on,maybe"],
        ["--report"],
    ],
)
def test_bad_arguments_are_usage_errors(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(arguments)
    assert stopped.value.code == 2


def test_tables_align_names_to_the_left_and_figures_to_the_right() -> None:
    found = table(["name", "value", "why"], [["a", "1.5", "so"], ["longer", "10.25", "because"]], left=(0, 2))
    assert found.splitlines() == [
        "name    value  why",
        "----------------------",
        "a         1.5  so",
        "longer  10.25  because",
    ]


@pytest.mark.parametrize(("name", "milliseconds"), [("7b", 197), ("3b", 92)])
def test_the_published_sizes_give_the_floors_that_were_reckoned_by_hand(name: str, milliseconds: int) -> None:
    text = SHAPES[name].text
    shape = DecoderShape(
        layers=text["num_hidden_layers"],
        hidden=text["hidden_size"],
        heads=text["num_attention_heads"],
        kv_heads=text["num_key_value_heads"],
        head_dim=128,
        feed_forward=text["intermediate_size"],
        vocabulary=text["vocab_size"],
    )
    whole = Work(shape.layers * layer_flops(shape, 10_240), 0)
    assert whole.floor_ms(Rates(flops=785e12, bytes=1)) == pytest.approx(milliseconds, abs=1)


def test_the_floor_is_the_larger_of_arithmetic_and_traffic() -> None:
    rates = Rates(flops=1e12, bytes=1e9)
    assert Work(1e9, 1e9).floor_ms(rates) == 1000
    assert (Work(4e12, 1) + Work(1e12, 1)).floor_ms(rates) == 5000


def test_laps_are_told_in_order_and_sum_to_the_whole() -> None:
    laps = Laps(CPU)
    laps.mark("one")
    laps.read("two")
    laps.mark("one")
    told = laps.done()
    assert [name for name, _ in told] == ["one", "two", "one"]
    assert all(ms >= 0 for _, ms in told)
    assert Times.of([3.0, 1.0, 9.0]) == Times(3.0, 1.0, 9.0, 3)
    with pytest.raises(ValueError, match="nothing was timed"):
        Times.of([])


def test_a_measurement_that_takes_too_long_is_given_up() -> None:
    began = time.monotonic()
    with pytest.raises(speed.TookTooLong), speed._limited(0.01):
        time.sleep(60)
    assert time.monotonic() - began < 30


def _rows(**values: float) -> list[Row]:
    return [Row(name.replace("_", " "), value) for name, value in values.items()]


def test_ratios_are_judged_by_their_targets_and_left_out_where_a_row_is_missing() -> None:
    young, old = Row("first token at 5 min", 10.0), Row("first token at 60 min", 11.0)
    (one,) = ratios("nano", [young, old])
    assert (one.name, one.value, one.verdict) == ("first token at 60 min ÷ at 5 min", 1.1, "first met")
    verdicts = [ratios("7b", _rows(windows_a_second=value))[0].verdict for value in (11.9, 12.0, 30.0)]
    assert verdicts == ["missed", "first met", "goal met"]  # more is better
    assert ratios("nano", [young]) == []
    assert ratios("nano", _rows(windows_a_second=100.0)) == []  # a target of the large models only


def _entry(measure: str, **more: Any) -> Entry:
    row = Row.timed("first token at 5 min", Times(3.0, 2.0, 4.0, 3), floor=1.0, guide_ms=2.0, past="quick")
    return Entry("tiny", measure, [row], **more)


def test_a_journal_is_taken_up_where_it_was_cut_off(tmp_path: Path) -> None:
    path, run = tmp_path / "new" / "speed.jsonl", {"device": "cpu", "models": {"tiny": {"sessions": (1, 2)}}}
    journal = Journal(path, run)
    journal.add(_entry("age-5"))
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole + '{"model": "tiny", "measure": "dec', encoding="utf-8")
    again = Journal(path, run)
    assert ("tiny", "age-5") in again
    assert ("tiny", "decode") not in again
    assert again.get("tiny", "age-5") == _entry("age-5")
    assert path.read_text(encoding="utf-8") == whole


def test_a_journal_of_another_run_or_of_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "speed.jsonl"
    run = {"hardware": "a", "device": "cpu", "models": {"tiny": {"budget": 300}}}
    Journal(path, run)
    for other, differs in ({"hardware": "b"}, "hardware"), ({"models": {"tiny": {"budget": 400}}}, "models"):
        with pytest.raises(JournalError, match=f"another {differs}: name another"):
            Journal(path, run | other)
    assert Journal(path, None).run == run
    with pytest.raises(JournalError, match="nothing to report"):
        Journal(tmp_path / "none.jsonl", None)
    path.write_text("no journal\n", encoding="utf-8")
    with pytest.raises(JournalError, match="not a journal"):
        Journal(path, {})


def test_a_journal_takes_further_models_in(tmp_path: Path) -> None:
    path, seven, three = tmp_path / "speed.jsonl", {"7b": {"budget": 8192}}, {"3b": {"budget": 4096}}
    Journal(path, {"device": "cpu", "models": seven}).add(_entry("age-5"))
    Journal(path, {"device": "cpu", "models": three})
    again = Journal(path, {"device": "cpu", "models": seven})
    assert again.run == Journal(path, None).run == {"device": "cpu", "models": seven | three}
    assert ("tiny", "age-5") in again
    assert len(path.read_text(encoding="utf-8").splitlines()) == 3


def test_the_report_tells_spread_floor_parts_and_failures() -> None:
    journal = Journal(None, {"models": {}})
    journal.add(_entry("age-5"))
    journal.add(Entry("tiny", "exact", failed="ArithmeticError: not a number"))
    text = as_text(journal)
    (line,) = [line for line in text.splitlines() if line.startswith("first token")]
    assert " ".join(line.split()) == "first token at 5 min 3.000 ms 2.000 4.000 3 1.000 3.0 guide_ms 2, past quick"
    assert "tiny: exact failed: ArithmeticError: not a number" in text


def test_the_plot_has_a_bar_for_each_age(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts: dict[str, float | str] = dict.fromkeys(age.PARTS, 2.0)
    models = {"tiny": {"budget": 300, "weights": "random"}}
    journal = Journal(None, {"hardware": "an abacus", "device": "cuda:0", "models": models})
    for minutes in (20, 1):
        rows = [Row(f"first token at {minutes} min{suffix}", 10.0, parts=parts) for suffix in ("", " (graphs off)")]
        journal.add(Entry("tiny", f"age-{minutes}", rows, at="2026-11-22T12:00:00+00:00"))
    source = tmp_path / "speed.txt"
    source.write_text(json.dumps(as_json(journal)), encoding="utf-8")
    assert plots.main([str(source), "--into", str(tmp_path)]) == 0
    path = tmp_path / "speed-tiny-cuda-age.svg"
    assert capsys.readouterr().out.strip() == str(path)
    drawn = path.read_text(encoding="utf-8")
    assert drawn.index(">1 min<") < drawn.index(">20 min<")
    assert "2026-11-22, an abacus, weights random" in drawn
    source.write_text(json.dumps(as_json(Journal(None, {"models": models, "device": "cpu"}))), encoding="utf-8")
    assert plots.main([str(source), "--into", str(tmp_path)]) == 1


# With models.


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(build(SHAPES["tiny"], device=CPU, dtype=torch.float64), TINY)


@pytest.mark.default
def test_a_random_model_is_what_was_asked_for(bench: Bench) -> None:
    thinker: Any = bench.omni.thinker
    assert {weight.dtype for weight in thinker.parameters()} == {torch.float64}
    assert min(float(weight.std()) for name, weight in thinker.named_parameters() if name.endswith("proj.weight")) > 0
    assert len(bench.omni.prompt.question(bench.question)) == 64
    # 100 rows of text beside the minute's tokens: with 10,140 of those, the 10,240 of the published sizes
    assert len(bench.prompted.embeddings) == len(bench.prompted.media) + 100
    assert words(bench.omni.prompt, 5).split() == ["a"] * 5


@pytest.mark.default
def test_the_stock_prefill_is_the_same_computation_as_ours(bench: Bench) -> None:
    pruner = Everything().prune(bench.prompted.asked(bench.omni.facts.layers))
    ours = Decoding(bench.omni.stack, bench.prompted, pruner, limit=1)
    # transformers rounds norms and rotary angles to fp32
    theirs = Stock(bench.omni, bench.raw[:1]).prefill(bench.prompted)
    torch.testing.assert_close(theirs, ours.logits, atol=1e-6, rtol=1e-5)


@pytest.mark.default
@pytest.mark.parametrize("windows", [3, 40])
def test_a_quick_past_has_the_sizes_of_a_fused_one(bench: Bench, windows: int) -> None:
    quick, fused = (bench.first.open(windows, quick=quick) for quick in (True, False))
    assert quick.report() == fused.report()
    assert (quick.store.length, quick.store.epoch) == (fused.store.length, fused.store.epoch)
    assert quick.store.rows.position.max() == fused.store.rows.position.max()
    assert float(quick.store.keys[:, :, : quick.store.length].std()) > 0
    assert list(quick.store.chunks) == list(fused.store.chunks)


@pytest.mark.default
@pytest.mark.parametrize("way", [0, 1])
def test_asking_leaves_a_session_as_it_was(bench: Bench, way: int) -> None:
    served = bench.served[way]
    conversation = served.open(2)
    before = conversation.report()
    spent = served.ask(conversation)
    assert list(spent) == list(age.PARTS)
    assert all(ms > 0 for ms in spent.values())
    assert conversation.report() == before


@pytest.mark.default
def test_work_grows_as_it_should(bench: Bench) -> None:
    costs = Costs(bench.omni)
    assert costs.seen(6).flops == 6 * costs.seen(1).flops
    assert costs.seen(6).bytes == costs.seen(1).bytes  # weights are read once
    assert costs.heard(2, 3).flops == 3 * costs.heard(2).flops
    assert costs.heard(2).flops > 2 * costs.heard(1).flops  # attention
    assert costs.deep([5, 5]) == costs.layers(2, 5)
    assert costs.layers(1, 1, past=50).bytes > costs.layers(1, 1).bytes


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any], str]:
    status = speed.main(["--threads", "1", "--repeats", "1", *arguments])
    told = capsys.readouterr()
    return status, json.loads(told.out.splitlines()[-1]), told.err


@pytest.mark.default
def test_one_command_measures_every_row_and_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["--model", "tiny", "--minutes", "1,2,5,60", "--out", str(tmp_path / "speed.jsonl"), "--past", "quick"]
    monkeypatch.setattr("benchmarks.speed.measures.age.WINDOWS", 2)  # minutes of two windows
    status, found, err = _run(capsys, *command)
    assert (status, found["failed"], found["device"]) == (0, [], "cpu")
    assert found["measured_on"] == [found["hardware"]]
    rows = {row["name"]: row for row in found["rows"]}
    assert rows.pop("graphs against the same passes, largest difference")["value"] == 0
    assert all(row["value"] > 0 for row in rows.values())
    assert all(rows[name]["floor"] > 0 for name in (prefill.STOCK, "live: guide", generate.STEP))
    errors = [row["value"] for name, row in rows.items() if name.startswith("relative error")]
    assert len(errors) == 7
    assert max(errors) < 1e-5
    assert rows["survivors shared with the reference, last layer"]["value"] == 1
    assert rows["session bytes, measured ÷ computed"]["value"] <= 1.05
    parts = rows["first token at 1 min"]["parts"]
    assert [parts[name] for name in age.PARTS] == [rows[name]["value"] for name in age.PARTS.values()]
    assert {"decode step at the minute (graphs off)", "windows a second (graphs off)"} <= set(rows)
    assert len(found["ratios"]) == 8
    assert err.count("tiny ") == len(measures((1, 2, 5, 60)))

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("nothing is left to measure")

    monkeypatch.setattr(speed, "build", never)
    again, reported = _run(capsys, *command), _run(capsys, "--report", "--out", str(tmp_path / "speed.jsonl"))
    assert again[1] == reported[1] == found


@pytest.mark.default
def test_what_fails_is_told_and_the_rest_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["--model", "tiny", "--rows", "window,decode", "--out", str(tmp_path / "speed.jsonl")]

    def broken(bench: Bench) -> list[Row]:
        raise MemoryError("no room")

    with monkeypatch.context() as patched:
        patched.setattr("benchmarks.speed.measures.window.rows", broken)
        status, found, _ = _run(capsys, *command)
    assert status == 1
    assert [(one["measure"], one["why"]) for one in found["failed"]] == [("window", "MemoryError: no room")]
    assert "decode step at the minute" in {row["name"] for row in found["rows"]}
    assert _run(capsys, *command)[0] == 1  # not tried again unless that is asked for
    status, found, _ = _run(capsys, *command, "--retry")
    assert (status, found["failed"]) == (0, [])
    assert "fuse a window" in {row["name"] for row in found["rows"]}


@pytest.mark.default
def test_a_checkpoint_is_measured_as_well(tiny_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--model", str(tiny_directory), "--budget", "300", "--rows", "decode,memory"]
    status, found, _ = _run(capsys, *command)
    assert (status, len(found["models"][str(tiny_directory)]["weights"])) == (0, 16)
    assert [row["measure"] for row in found["rows"]] == ["decode", "memory"]


@pytest.mark.default
def test_a_missing_model_is_said_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert speed.main(["--model", str(tmp_path)]) == 1
    assert "config.json" in capsys.readouterr().err
