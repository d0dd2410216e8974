"""Each published format, read from a small directory of our own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.evaluation.formats import BENCHMARKS, FormatError, read

Published = Callable[[str], Path]


def test_worldsense(published: Published) -> None:
    first, second = read("worldsense", published("worldsense"))
    assert (first.id, first.until, first.answer, first.options, first.task) == (
        "clip/task0",
        None,
        "B",
        4,
        "Recognition",
    )
    assert second.answer == "D"
    assert first.prompt.endswith("Question: Which?\nA. one\nB. two\nC. three\nD. four\nAnswer: ")


def test_daily_omni(published: Published) -> None:
    first, second = read("daily-omni", published("daily-omni"))
    assert (first.answer, first.task, second.task) == ("C", "AV Event Alignment", "Reasoning")
    assert "Choices: ['A. one', 'B. two', 'C. three', 'D. four']\n" in first.prompt


def test_streamingbench(published: Published) -> None:
    sooner, later = read("streamingbench", published("streamingbench"))
    assert (sooner.until, later.until) == (2.0, 4.0), "in the order of their times; what asks when is left out"
    assert "\nA. w\nB. x\nC. y\nD. z\n" in sooner.prompt
    assert later.prompt.endswith("D. four\n\nThe best option is:")


def test_ovo_bench(published: Published) -> None:
    items = {item.id: item for item in read("ovo-bench", published("ovo-bench"))}
    assert list(items) == ["2/0", "3/0", "1", "2/1", "4/0"]
    assert (items["1"].answer, items["1"].options, items["1"].kind) == ("C", 3, "letter")
    assert "Options:\nA. one; B. two; C. three;\n" in items["1"].prompt
    assert [(items[key].answer, items[key].kind) for key in ("2/1", "3/0", "4/0")] == [
        ("2", "number"),
        ("Yes", "yes_no"),
        ("No", "yes_no"),
    ]
    assert "How many times did they jump?" in items["2/0"].prompt
    assert "Stir." in items["3/0"].prompt
    assert items["3/0"].until == 2.5


@pytest.mark.parametrize("benchmark", list(BENCHMARKS))
def test_what_is_missing_or_otherwise_is_named(benchmark: str, published: Published, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"missing|holds (no|0)"):
        read(benchmark, tmp_path)
    root = published(benchmark)
    video = next(root.rglob("*.mp4"))
    video.unlink()
    with pytest.raises(FormatError, match=r"1 videos are missing, such as .*mp4"):
        read(benchmark, root)
    annotations = next(root.glob("*.json"))
    content = json.loads(annotations.read_text(encoding="utf-8"))
    changed = {"clip": {"task0": {}}} if isinstance(content, dict) else [{}]
    annotations.write_text(json.dumps(changed), encoding="utf-8")
    with pytest.raises(FormatError, match=f"not as {benchmark} publishes it"):
        read(benchmark, root)
    annotations.write_text("{", encoding="utf-8")
    with pytest.raises(FormatError, match="is no JSON"):
        read(benchmark, root)
