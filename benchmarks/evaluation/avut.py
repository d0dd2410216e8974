"""AVUT (arXiv 2503.19951): questions about what is heard, or heard and seen, in a video.

Published on the Hugging Face hub as tsinghua-ee/AVUTBenchmark: a list of entries in `AV_Human_data.json`, each with
`QA_id`, `task_type`, `question`, `option_A` … `option_D` (some have more), `answer` (a letter) and `video_path`
("data/ID.mp4"; on the hub the files lie beside the annotations, some as ID_fullsize.mp4). An entry without options is
answered in free text; no letter is right there, so it is left out. A directory without that file may hold
`AV_Human_filtered_data.json`, the same without the questions that can be answered from their text alone.

No wording of AVUT's own for putting options to a model was found. They are put as OmniZip's evaluation of it puts them
(arXiv 2511.14582), whose figures ours are to be compared with.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.evaluation.files import first_there, load_json
from benchmarks.evaluation.questions import Item

__all__ = ["avut"]

_PROMPT = "{}\nOptions:\n{}\nAnswer with the option's letter from the given choices directly."
_LETTERS = "ABCDEF"


def avut(directory: Path) -> Iterator[Item]:
    """Every question with options."""
    file = first_there([directory / "AV_Human_data.json", directory / "AV_Human_filtered_data.json"])
    for one in load_json(directory, file.name):
        options = _options(one)
        if not options:
            continue
        listed = "\n".join(f"{letter}. {option}" for letter, option in zip(_LETTERS, options, strict=False))
        prompt = _PROMPT.format(one["question"], listed)
        path, answer = _video(directory, one["video_path"]), one["answer"].strip().upper()
        yield Item(f"{one['QA_id']}", path, None, prompt, answer, "letter", len(options), one["task_type"])


def _options(one: dict[str, Any]) -> list[str]:
    """Its options up to the first letter that has none."""
    if "question" not in one:
        raise KeyError("question")
    given = [one.get(f"option_{letter}") for letter in _LETTERS]
    count = given.index(None) if None in given else len(given)
    return [str(option) for option in given[:count]]


def _video(directory: Path, name: str) -> Path:
    path = Path(name)
    whole = f"{path.stem}_fullsize{path.suffix}"
    return first_there([directory / name, directory / path.name, directory / "videos" / path.name, directory / whole])
