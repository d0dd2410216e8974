"""Readers of the published annotation files. A data directory holds a benchmark's annotations and its videos.

    worldsense      worldsense_qa.json, videos/ID.mp4                (arXiv 2502.04326; prompt as in VLMEvalKit)
    videomme        videomme/*.parquet, data/ID.mp4                  (arXiv 2405.21075; see `videomme`)
    avut            AV_Human_data.json, ID.mp4 or data/ID.mp4        (arXiv 2503.19951; see `avut`)
    daily-omni      qa.json, Videos/ID/ID_video.mp4                  (arXiv 2505.17862)
    streamingbench  questions_*.json with time stamps, videos/*.mp4  (arXiv 2411.03628)
    ovo-bench       ovo_bench*.json, videos by their paths in it     (arXiv 2501.05510)

Prompts are the benchmarks' own words, without the indentation of the programs they come from: results by other words
could not be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.evaluation.avut import avut
from benchmarks.evaluation.files import FormatError, first_there, load_json
from benchmarks.evaluation.questions import Item
from benchmarks.evaluation.videomme import videomme

__all__ = ["BENCHMARKS", "FormatError", "read"]

_WORLDSENSE = (
    "Carefully watch this video and pay attention to every detail. Based on your observations, select the best option "
    "that accurately addresses the question.\nThese are the frames of a video and the corresponding audio. Select the "
    "best answer to the following multiple-choice question based on the video. Respond with only the letter (A, B, C, "
    "or D) of the correct option.\nQuestion: {}\nAnswer: "
)
_DAILY_OMNI = (
    "Your task is to accurately answer multiple-choice questions based on the given video.\n"
    "Select the single most accurate answer from the given choices.\nQuestion: {}\nChoices: {}\n"
    "Your answer should be a capital letter representing your choice: A, B, C, or D. Don't generate any other text.\n"
)
_STREAMINGBENCH = (
    "You are an advanced video question-answering AI assistant. You have been provided with some frames from the video "
    "and a multiple-choice question related to the video. Your task is to carefully analyze the video and provide the "
    "best answer to question, choosing from the four options provided. Respond with only the letter (A, B, C, or D) of "
    "the correct option.\n\nQuestion: {}\n\nOptions:\n{}\n\nThe best option is:"
)
_OVO_CHOICE = (
    "Question: {}\nOptions:\n{}\nRespond only with the letter corresponding to your chosen option (e.g., A, B, C).\n"
    "Do not include any additional text or explanation in your response."
)
_OVO_COUNT = (
    "You're watching a video in which people may perform a certain type of action repetively.\nThe person performing "
    "this kind of action are referred to as 'they' in the following statement.\nYou're task is to count how many times "
    "have different people in the video perform this kind of action in total.\nOne complete motion counts as one.\n"
    "Now, answer the following question: How many times did they {}?\nProvide your answer as a single number (e.g., 0, "
    "1, 2, 3…) indicating the total count.\nDo not include any additional text or explanation in your response."
)
_OVO_STEP = (
    "You're watching a tutorial video which contain a sequential of steps.\nThe following is one step from the whole "
    "procedures:\n{}\nYour task is to determine if the man or woman in the video is currently performing this step.\n"
    "Answer only with “Yes” or “No”.\nDo not include any additional text or explanation in your response."
)
_OVO_CLUE = (
    "You're responsible of answering questions based on the video content.\nThe following question are relevant to the "
    "latest frames, i.e. the end of the video.\n{}\nDecide whether existing visual content, especially latest frames, "
    "i.e. frames that near the end of the video, provide enough information for answering the question.\nAnswer only "
    "with “Yes” or “No”.\nDo not include any additional text or explanation in your response."
)


def read(benchmark: str, directory: Path) -> list[Item]:
    """Every question of a benchmark, those about the same file together and in the order of their times.

    Raises:
        FormatError: a file is missing or not as published; names it.
    """
    try:
        items = list(BENCHMARKS[benchmark](directory))
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{directory}: an annotation is not as {benchmark} publishes it ({error!r})") from error
    absent = sorted({str(item.video) for item in items if not item.video.exists()})
    if not items or absent:
        missing = f"{len(absent)} videos are missing, such as {absent[0]}" if absent else "it holds no questions"
        raise FormatError(f"{directory}: {missing}")
    return sorted(items, key=lambda item: (str(item.video), item.until if item.until is not None else float("inf")))


def _worldsense(directory: Path) -> Iterator[Item]:
    for video, about in load_json(directory, "worldsense_qa.json").items():
        for name, task in about.items():
            if name.startswith("task") and isinstance(task, dict):
                asked = "\n".join([task["question"], *task["candidates"]])
                path = directory / "videos" / f"{video}.mp4"
                yield _choice(f"{video}/{name}", path, None, _WORLDSENSE.format(asked), task, task["task_domain"])


def _daily_omni(directory: Path) -> Iterator[Item]:
    for number, one in enumerate(load_json(directory, "qa.json")):
        video, choices = one["video_id"], one["Choice"]
        path = directory / "Videos" / video / f"{video}_video.mp4"
        prompt = _DAILY_OMNI.format(one["Question"], choices)
        yield Item(f"{number}", path, None, prompt, one["Answer"].strip().upper(), "letter", len(choices), one["Type"])


def _streamingbench(directory: Path) -> Iterator[Item]:
    files = sorted(directory.glob("questions_*.json"))
    if not files:
        raise FormatError(f"{directory} holds no questions_*.json")
    for file in files:
        for number, part in enumerate(load_json(directory, file.name)):
            for index, one in enumerate(part["questions"]):
                if "options" not in one or "time_stamp" not in one:
                    continue  # proactive output: it asks when, not what
                options = one["options"]
                if not options[0].startswith("A."):
                    options = [f"{letter}. {option}" for letter, option in zip("ABCDEFGH", options, strict=False)]
                prompt = _STREAMINGBENCH.format(one["question"], "\n".join(options))
                path = directory / "videos" / Path(part["video_path"]).name
                at = _seconds(one["time_stamp"])
                key = f"{file.stem}/{number}/{index}"
                yield Item(key, path, at, prompt, one["answer"], "letter", len(options), one["task_type"])


def _ovo_bench(directory: Path) -> Iterator[Item]:
    files = sorted(directory.glob("ovo_bench*.json"))
    if len(files) != 1:
        raise FormatError(f"{directory} holds {len(files)} files ovo_bench*.json; one is wanted")
    for one in load_json(directory, files[0].name):
        path, task = _ovo_video(directory, one["video"]), one["task"]
        if "test_info" in one:
            yield from _ovo_forward(one, path, task)
            continue
        options = "; ".join(f"{chr(65 + index)}. {option}" for index, option in enumerate(one["options"])) + ";"
        prompt = _OVO_CHOICE.format(one["question"], options)
        answer = chr(65 + int(one["gt"]))
        at = float(one["realtime"])
        yield Item(str(one["id"]), path, at, prompt, answer, "letter", len(one["options"]), task)


def _ovo_forward(one: dict[str, Any], path: Path, task: str) -> Iterator[Item]:
    """The same question at several times: counts, steps under way, or whether enough has been seen."""
    for index, moment in enumerate(one["test_info"]):
        key, at = f"{one['id']}/{index}", float(moment["realtime"])
        if task == "REC":
            yield Item(key, path, at, _OVO_COUNT.format(one["activity"]), str(moment["count"]), "number", 0, task)
        else:
            prompt = _OVO_STEP.format(moment["step"]) if task == "SSR" else _OVO_CLUE.format(one["question"])
            yield Item(key, path, at, prompt, "Yes" if moment["type"] else "No", "yes_no", 0, task)


def _ovo_video(directory: Path, name: str) -> Path:
    return first_there([directory / "src_videos" / name, directory / "videos" / name, directory / name])


def _choice(key: str, path: Path, until: float | None, prompt: str, task: dict[str, Any], group: str) -> Item:
    return Item(key, path, until, prompt, task["answer"], "letter", len(task["candidates"]), group)


def _seconds(stamp: str) -> float:
    """Seconds of "HH:MM:SS" or "MM:SS"."""
    parts: Sequence[str] = stamp.split(":")
    return float(sum(int(part) * 60**power for power, part in enumerate(reversed(parts))))


BENCHMARKS: dict[str, Callable[[Path], Iterator[Item]]] = {
    "worldsense": _worldsense,
    "videomme": videomme,
    "avut": avut,
    "daily-omni": _daily_omni,
    "streamingbench": _streamingbench,
    "ovo-bench": _ovo_bench,
}
