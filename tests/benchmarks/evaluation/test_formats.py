"""Each published format, read from a small directory of our own."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.evaluation.files import FormatError
from benchmarks.evaluation.formats import BENCHMARKS, read

from .conftest import videomme_rows

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


def test_videomme(published: Published) -> None:
    root = published("videomme")
    items = first, second = read("videomme", root)
    assert (first.id, first.until, first.answer, first.options, first.task) == ("001-1", None, "B", 4, "short")
    assert (second.answer, second.task) == ("D", "long")
    assert first.prompt.endswith("correct option.\nWhich?\nA. one.\nB. two.\nC. three.\nD. four.\nThe best answer is:")
    lines = "".join(json.dumps(row) + "\n" for row in videomme_rows())
    (root / "videomme.jsonl").write_text(lines, encoding="utf-8")
    next(root.glob("videomme/*.parquet")).unlink()
    assert read("videomme", root) == items, "the same rows as JSON lines"


def test_videomme_without_pyarrow_names_the_extra(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    root = published("videomme")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(FormatError, match=r"omnidrop-live\[eval\].*videomme\.jsonl"):
        read("videomme", root)


def test_avut(published: Published) -> None:
    root = published("avut")
    items = first, second = read("avut", root)
    assert [item.id for item in items] == ["70", "71"], "what is answered in free text is left out"
    assert (first.answer, first.options, first.task) == ("C", 4, "Audio Content Counting")
    assert (second.answer, second.options) == ("F", 6)
    assert first.prompt.startswith("How many?\nOptions:\nA. one\nB. two\nC. three\nD. four\nAnswer with the option's")
    (root / "clip.mp4").rename(root / "clip_fullsize.mp4")
    assert read("avut", root)[0].video.name == "clip_fullsize.mp4"
    (root / "AV_Human_data.json").rename(root / "AV_Human_filtered_data.json")
    assert len(read("avut", root)) == 2


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
    annotations = next(path for path in root.rglob("*") if path.suffix in (".json", ".parquet"))
    if benchmark == "videomme":
        annotations.write_bytes(b"PAR1")
        with pytest.raises(FormatError, match="is no parquet file"):
            read(benchmark, root)
        annotations = root / "videomme.jsonl"
        annotations.write_text("{}", encoding="utf-8")
    else:
        content = json.loads(annotations.read_text(encoding="utf-8"))
        changed = {"clip": {"task0": {}}} if isinstance(content, dict) else [{}]
        annotations.write_text(json.dumps(changed), encoding="utf-8")
    with pytest.raises(FormatError, match=f"not as {benchmark} publishes it"):
        read(benchmark, root)
    annotations.write_text("{", encoding="utf-8")
    with pytest.raises(FormatError, match="is no JSON"):
        read(benchmark, root)
