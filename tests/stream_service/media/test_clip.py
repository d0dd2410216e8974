"""A file as a source."""

import os
import weakref
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from stream_service.errors import InvalidInput
from stream_service.media import clip
from stream_service.media.clip import Clip
from stream_service.media.frames import LiveFrame
from stream_service.types import AudioChunk


def write(path: Path, *, video: bool = True, audio: bool = True, seconds: int = 2, silent: int = 0) -> Path:
    """A clip of 10 frames a second that grow brighter, with a 440 Hz tone at 44.1 kHz stereo after ``silent`` s."""
    with av.open(str(path), "w") as container:
        if video:
            picture = container.add_stream("mpeg4", rate=10)
            picture.width, picture.height = 64, 48
        if audio:
            tone = container.add_stream("aac", rate=44_100, layout="stereo")
        for second in range(seconds):
            if video:
                for index in range(10 * second, 10 * second + 10):
                    grey = np.full((48, 64, 3), 10 * index % 256, np.uint8)
                    frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
                    container.mux(picture.encode(frame))
            if audio and second >= silent:
                times = second + np.arange(44_100) / 44_100
                sine = np.sin(2 * np.pi * 440 * times).astype(np.float32)
                sound = av.AudioFrame.from_ndarray(np.stack([sine, sine]), format="fltp", layout="stereo")
                sound.sample_rate = 44_100
                sound.pts = 44_100 * second
                container.mux(tone.encode(sound))
        for stream in container.streams:
            container.mux(stream.encode(None))  # type: ignore[attr-defined]
    return path


def test_frames_and_samples_come_in_the_order_of_their_times(tmp_path: Path) -> None:
    with Clip(write(tmp_path / "clip.mp4"), (168, 168), "crop") as both:
        assert both.has_video
        assert both.has_audio
        items = list(both)
    times = [item.at for item in items]
    assert times == sorted(times)
    frames = [item for item in items if isinstance(item, LiveFrame)]
    assert len(frames) == 20
    assert [round(frame.at, 3) for frame in frames[:3]] == [0.0, 0.1, 0.2]
    assert frames[5].pixels().shape == (168, 168, 3)
    samples = sum(len(item.samples) for item in items if isinstance(item, AudioChunk))
    assert samples == pytest.approx(32_000, abs=2_000)


@pytest.mark.parametrize(("video", "audio"), [(True, False), (False, True)])
def test_one_track_is_enough(tmp_path: Path, video: bool, audio: bool) -> None:
    with Clip(write(tmp_path / "clip.mp4", video=video, audio=audio), (168, 168), "crop") as one:
        assert (one.has_video, one.has_audio) == (video, audio)
        assert all(isinstance(item, LiveFrame) is video for item in one)


def test_a_track_that_starts_late_holds_no_pictures_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: weakref.WeakSet[LiveFrame] = weakref.WeakSet()

    class Counted(LiveFrame):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            held.add(self)

    monkeypatch.setattr(clip, "LiveFrame", Counted)
    most, times, last = 0, [], {True: 0.0, False: 0.0}
    with Clip(write(tmp_path / "clip.mkv", seconds=8, silent=6), (168, 168), "crop") as late:
        for item in late:
            most = max(most, len(held))
            times.append(item.at)
            last[isinstance(item, AudioChunk)] = item.at
    assert times == sorted(times)
    assert last[True] > 7.5
    assert last[False] == pytest.approx(7.9)
    assert most <= 3, "one that is used, one that is next, one that is being made"


def test_what_is_no_clip_is_bad_input(tmp_path: Path) -> None:
    text = tmp_path / "clip.txt"
    text.write_text("no clip at all")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(write(tmp_path / "whole.mp4").read_bytes()[:3000])
    pipe = tmp_path / "clip.pipe"
    os.mkfifo(pipe)
    for path in (tmp_path / "missing.mp4", text, cut, pipe, tmp_path):
        with pytest.raises(InvalidInput) as refused:
            Clip(path, (168, 168), "crop")
        assert refused.value.field == "clip"
        assert path.name in refused.value.message
