import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from clients.python.errors import SourceError
from clients.python.source import Picture, Sound, Source, read_sound
from tests.clients.python.clips import write_clip


def test_a_file_is_pictures_and_sound_on_one_clock(tmp_path: Path) -> None:
    source = Source(str(write_clip(tmp_path / "clip.mkv")))
    assert (source.has_video, source.has_audio, source.live) == (True, True, False)
    items = list(source.play())
    pictures = [item.at for item in items if isinstance(item, Picture)]
    assert pictures == pytest.approx([i / 10 for i in range(20)])
    sounds = [item for item in items if isinstance(item, Sound)]
    assert sounds[0].at == 0
    for before, after in pairwise(sounds):
        assert after.at == pytest.approx(before.at + len(before.samples) / 48_000, abs=1e-9)
    assert sum(len(sound.samples) for sound in sounds) == 96_000


def test_sound_of_another_rate_keeps_every_sample_and_its_time(tmp_path: Path) -> None:
    path = tmp_path / "question.wav"
    samples = (np.sin(np.arange(8_000) * 0.3) * 8_000).astype("<i2")
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(8_000)
        wav.writeframes(samples.tobytes())
    assert abs(len(read_sound(str(path))) - 48_000) <= 1


@pytest.mark.parametrize("name", ["/no/such/file.mp4", "v4l2:/dev/video99", "/dev/video99"])
def test_what_cannot_be_opened_is_a_source_error_with_a_remedy(name: str) -> None:
    with pytest.raises(SourceError, match="cannot be opened") as refusal:
        Source(name)
    assert refusal.value.remedy
    assert refusal.value.exit_status == 3


def test_a_text_file_is_no_source(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not media")
    with pytest.raises(SourceError):
        Source(str(path))


def test_a_clip_without_sound_holds_no_question(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no sound"):
        read_sound(str(write_clip(tmp_path / "mute.mkv", audio=False)))


def test_devices_are_told_from_files_by_their_prefix() -> None:
    source = Source("lavfi:testsrc=size=64x48:rate=10:duration=1")
    assert (source.has_video, source.has_audio, source.live) == (True, False, False)
