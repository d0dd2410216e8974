"""Video-MME (arXiv 2405.21075): four options about short, medium and long videos.

Published on the Hugging Face hub as lmms-lab/Video-MME: `videomme/test-00000-of-00001.parquet` with a row for each
question (`question_id`, `videoID`, `duration`, `task_type`, `question`, `options` such as "A. Red.", and `answer`, a
letter) and the videos as `data/ID.mp4` once their archives are unpacked. The prompt is that of the authors' repository
(BradyFU/Video-MME) without subtitles. Results are reported by duration, as the paper's are.

Reading parquet takes pyarrow, in the extra `eval`. A file of the same rows as JSON, one a line (`videomme.jsonl`), does
without it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.evaluation.files import FormatError, first_there, text_of
from benchmarks.evaluation.questions import Item

__all__ = ["videomme"]

_PROMPT = (
    "Select the best answer to the following multiple-choice question based on the video. Respond with only the letter "
    "(A, B, C, or D) of the correct option.\n{}\n{}\nThe best answer is:"
)


def videomme(directory: Path) -> Iterator[Item]:
    """Every question."""
    for one in _rows(directory):
        options = list(one["options"])
        name = f"{one['videoID']}.mp4"
        path = first_there([directory / folder / name for folder in ("data", "videos", "video")])
        prompt = _PROMPT.format(one["question"], "\n".join(options))
        answer = one["answer"].strip().upper()
        yield Item(one["question_id"], path, None, prompt, answer, "letter", len(options), one["duration"])


def _rows(directory: Path) -> list[dict[str, Any]]:
    lines = directory / "videomme.jsonl"
    if lines.exists():
        return _json_lines(lines)
    files = sorted(directory.glob("videomme/*.parquet")) or sorted(directory.glob("*.parquet"))
    if not files:
        raise FormatError(f"{directory} holds no videomme/*.parquet, nor videomme.jsonl")
    return [row for file in files for row in _parquet(file)]


def _json_lines(path: Path) -> list[dict[str, Any]]:
    found = []
    for number, line in enumerate(text_of(path).splitlines(), start=1):
        try:
            found.append(json.loads(line))
        except ValueError as error:
            raise FormatError(f"{path}, line {number}, is no JSON ({error})") from error
    return found


def _parquet(path: Path) -> list[dict[str, Any]]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import read_table
    except ImportError as error:
        raise FormatError(
            f"{path} takes pyarrow to read: pip install 'omnidrop-live[eval]', or export its rows to videomme.jsonl"
        ) from error
    try:
        rows: list[dict[str, Any]] = read_table(path).to_pylist()
    except (OSError, ArrowException) as error:
        raise FormatError(f"{path} is no parquet file ({error})") from error
    return rows
