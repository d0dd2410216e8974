"""Small data directories of our own, in the formats that the benchmarks publish."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow
import pytest
from pyarrow.parquet import write_table

SECONDS = 5


def _film(path: Path) -> None:
    """5 s of 128 x 72 pixels at 10 frames a second, 20 greyer every half second; a tone grows louder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 128, 72, "yuv420p"
        audio = container.add_stream("aac", rate=16_000, layout="mono")
        for number in range(10 * SECONDS):
            picture = np.full((72, 128, 3), 20 * (number // 5), dtype=np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        wave = np.sin(np.arange(16_000 * SECONDS) / 5) * np.linspace(0, 0.9, 16_000 * SECONDS)
        sound = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
        sound.sample_rate = 16_000
        container.mux(audio.encode(sound))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _worldsense(root: Path) -> None:
    task = {"task_domain": "Recognition", "task_type": "Audio", "question": "Which?", "answer": "B"}
    options = ["A. one", "B. two", "C. three", "D. four"]
    about = {
        "video_duration": "5s",
        "domain": "Music",
        "sub_category": "x",
        "audio_class": ["Music"],
        "duration": "<1min",
    }
    tasks = {"task0": task | {"candidates": options}, "task1": task | {"candidates": options, "answer": "D"}}
    _write(root / "worldsense_qa.json", {"clip": about | {"video_caption": "Grey."} | tasks})
    _film(root / "videos" / "clip.mp4")


def videomme_rows() -> list[dict[str, Any]]:
    """Two questions about one video, as Video-MME's table has them."""
    one = {
        "video_id": "001",
        "duration": "short",
        "domain": "Knowledge",
        "sub_category": "x",
        "url": "https://example.org",
        "videoID": "clip",
        "question_id": "001-1",
        "task_type": "Counting Problem",
        "question": "Which?",
        "options": ["A. one.", "B. two.", "C. three.", "D. four."],
        "answer": "B",
    }
    return [one, one | {"question_id": "001-2", "duration": "long", "answer": "D"}]


def _videomme(root: Path) -> None:
    (root / "videomme").mkdir()
    write_table(pyarrow.Table.from_pylist(videomme_rows()), root / "videomme" / "test-00000-of-00001.parquet")
    _film(root / "data" / "clip.mp4")


def _avut(root: Path) -> None:
    one = {
        "video_id": 7,
        "url": "https://example.org",
        "video_type": "vlog",
        "task_type": "Audio Content Counting",
        "question": "How many?",
        "option_A": "one",
        "option_B": "two",
        "option_C": "three",
        "option_D": "four",
        "answer": "C",
        "video_path": "data/clip.mp4",
        "QA_id": 70,
    }
    six = one | {"QA_id": 71, "option_E": "five", "option_F": "six", "answer": "F", "task_type": "Audio OCR Matching"}
    free = {name: value for name, value in one.items() if not name.startswith("option")} | {"QA_id": 72}
    _write(root / "AV_Human_data.json", [one, six, free])
    _film(root / "clip.mp4")


def _daily_omni(root: Path) -> None:
    one = {
        "Type": "AV Event Alignment",
        "Question": "Which?",
        "Choice": ["A. one", "B. two", "C. three", "D. four"],
        "Answer": "C",
        "video_id": "clip",
        "video_category": "Music",
        "video_duration": "30s",
    }
    _write(root / "qa.json", [one, one | {"Answer": "A", "Type": "Reasoning"}])
    _film(root / "Videos" / "clip" / "clip_video.mp4")


def _streamingbench(root: Path) -> None:
    def part(stamp: str, options: list[str]) -> dict[str, Any]:
        asked = {
            "task_type": "Counting",
            "question": "How many?",
            "time_stamp": stamp,
            "answer": "A",
            "options": options,
        }
        return {"time": "[0:00:00 - 0:01:00]", "questions": [asked], "video_path": "./videos/clip.mp4"}

    later, sooner = part("00:00:04", ["A. one", "B. two", "C. three", "D. four"]), part("00:02", list("wxyz"))
    proactive = {"questions": [{"question": "When?", "time_stamp": "00:00:03"}], "video_path": "./videos/clip.mp4"}
    _write(root / "questions_real.json", [later, sooner, proactive])
    _film(root / "videos" / "clip.mp4")


def _ovo_bench(root: Path) -> None:
    common = {"video": "set/clip.mp4"}
    entries: list[dict[str, Any]] = [
        {"id": 1, "task": "EPM", "realtime": 3, "question": "Which?", "options": ["one", "two", "three"], "gt": 2},
        {
            "id": 2,
            "task": "REC",
            "activity": "jump",
            "test_info": [{"realtime": 1, "count": 0}, {"realtime": 4, "count": 2}],
        },
        {"id": 3, "task": "SSR", "test_info": [{"realtime": 2.5, "step": "Stir.", "type": 1}]},
        {"id": 4, "task": "CRR", "question": "Why?", "answer": "So.", "test_info": [{"realtime": 5, "type": 0}]},
    ]
    _write(root / "ovo_bench_new.json", [entry | common for entry in entries])
    _film(root / "src_videos" / "set" / "clip.mp4")


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`published(benchmark)`: a data directory."""
    writers = {
        "worldsense": _worldsense,
        "videomme": _videomme,
        "avut": _avut,
        "daily-omni": _daily_omni,
        "streamingbench": _streamingbench,
        "ovo-bench": _ovo_bench,
    }

    def make(benchmark: str) -> Path:
        root = tmp_path_factory.mktemp(benchmark)
        writers[benchmark](root)
        return root

    return make
