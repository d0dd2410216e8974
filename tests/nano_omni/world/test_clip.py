"""Clips: real files with pictures and sound, and their truth beside them."""

import json
from pathlib import Path

import av
import numpy as np
import pytest

from nano_omni.world import CATEGORIES
from nano_omni.world.__main__ import main
from nano_omni.world.clip import write_clip


@pytest.mark.parametrize(("suffix", "codecs"), [(".mp4", ("h264", "aac")), (".webm", ("vp9", "opus"))])
def test_a_clip_plays_as_written(tmp_path: Path, suffix: str, codecs: tuple[str, str]) -> None:
    frames = [np.full((48, 64, 3), shade, np.uint8) for shade in (40, 80, 120, 160, 200)]
    tone = (np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000) / 2).astype(np.float32)
    write_clip(tmp_path / f"clip{suffix}", frames, tone, fps=5)
    with av.open(str(tmp_path / f"clip{suffix}")) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name.removeprefix("lib")) == codecs
        shades = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(video)]
    with av.open(str(tmp_path / f"clip{suffix}")) as container:
        played = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    assert np.abs(np.array(shades) - [40, 80, 120, 160, 200]).max() < 6
    assert 0.95 < played < 1.2


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.mp4 or \.webm"):
        write_clip(tmp_path / "clip.avi", [], np.zeros(1, np.float32), 5)
    with pytest.raises(ValueError, match="at least one frame"):
        write_clip(tmp_path / "clip.mp4", [], np.zeros(1, np.float32), 5)


def test_the_command_writes_a_clip_with_its_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip, truth = tmp_path / "clip.mp4", tmp_path / "truth.json"
    main(["--seed", "7", "--windows", "2", "--out", str(clip), "--truth", str(truth), "--size", "64", "--fps", "5"])
    told = json.loads(truth.read_text())
    assert clip.stat().st_size > 1000
    assert told["seconds"] == 4
    assert told["scenes"][0]["start"] == 0
    assert {question["category"] for question in told["questions"]} <= set(CATEGORIES)
    assert {question["cut"] for question in told["questions"]} == {1, 2, 3, 4}
    with pytest.raises(SystemExit):
        main(["--fps", "7", "--out", str(clip)])
    assert "divide 30" in capsys.readouterr().err
