"""What a sink hears of a source: media, breaks, loss and return."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from av import AudioFrame
from av import VideoFrame as Decoded

from stream_service.media.clock import StreamClock
from stream_service.media.intake import Intake
from stream_service.media.settings import MediaSettings
from stream_service.types import AudioChunk, BreakKind, MediaBreak, VideoFrame


class Sink:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.frames: list[VideoFrame] = []
        self.chunks: list[AudioChunk] = []
        self.told: list[object] = []

    def on_tracks(self, *, video: bool, audio: bool) -> None:
        self.told.append((video, audio))

    def on_video(self, frame: VideoFrame) -> None:
        self.frames.append(frame)

    def on_audio(self, chunk: AudioChunk) -> None:
        self.chunks.append(chunk)

    def on_break(self, brk: MediaBreak) -> None:
        self.told.append(brk)

    def on_lost(self, reason: str) -> None:
        self.told.append(reason)

    def on_back(self) -> None:
        self.told.append("back")


class Rig:
    """An intake with a local clock to set."""

    def __init__(self, *, gap: bool = False, lost: bool = False) -> None:
        self.now = 50.0
        self.sink = Sink()
        self.clock = StreamClock(lambda: self.now)
        settings = MediaSettings(connect_s=10, silence_s=3)
        self.intake = Intake(settings, (32, 32), self.clock, self.sink, lambda: self.now, gap=gap, lost=lost)

    def picture(self, t: float, size: tuple[int, int] = (64, 48)) -> None:
        self.now = max(self.now, 50.0 + t)
        frame = Decoded(*size, "yuv420p")
        frame.pts = round(t * 90_000) % (1 << 32)
        self.intake.video(frame)

    def sound(self, t: float, *, seconds: float = 0.02, rate: int = 48_000, level: int = 0) -> None:
        self.now = max(self.now, 50.0 + t + seconds)
        samples = np.full((1, 2 * round(seconds * rate)), level, np.int16)
        frame = AudioFrame.from_ndarray(samples, "s16", "stereo")
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = round(t * rate) % (1 << 32)
        self.intake.audio(frame)


@pytest.mark.parametrize("rate", [8_000, 48_000])
def test_sound_arrives_at_16_khz_in_one_piece(rate: int) -> None:
    rig = Rig()
    for k in range(100):
        rig.sound(k * 0.02, rate=rate, level=8_192)
    joined = rig.sink.chunks
    assert all(a.end == pytest.approx(b.at) for a, b in pairwise(joined))
    assert sum(len(c.samples) for c in joined) == pytest.approx(32_000, abs=40)
    assert joined[10].samples == pytest.approx(0.25, abs=1e-3)


def test_lost_packets_leave_a_hole_of_their_own_length() -> None:
    rig = Rig()
    for k in [*range(10), *range(15, 25)]:
        rig.sound(k * 0.02)
    holes = [(a.end, b.at) for a, b in pairwise(rig.sink.chunks) if b.at - a.end > 1e-6]
    assert holes == [(pytest.approx(0.2), pytest.approx(0.3))]


def test_pictures_are_passed_on_without_being_converted() -> None:
    rig = Rig()
    rig.picture(0.0)
    assert rig.sink.frames[0].at == 0.0
    assert rig.sink.frames[0].pixels().shape == (32, 32, 3)


def test_a_turned_camera_breaks_the_segment_and_fewer_pixels_do_not() -> None:
    rig = Rig()
    for n, size in enumerate([(64, 48), (64, 48), (32, 24), (48, 64), (48, 64)]):
        rig.picture(n / 30, size)
    assert rig.sink.told == [MediaBreak(pytest.approx(0.1), BreakKind.RESOLUTION)]
    assert rig.intake.counts.resolutions == 2


def test_a_clock_jump_is_a_break() -> None:
    rig = Rig()
    for t in (0.0, 0.1, 500.0):
        rig.now = 50.1
        rig.intake.video(frame_at(t))
    (told,) = rig.sink.told
    assert isinstance(told, MediaBreak)
    assert told.kind is BreakKind.CLOCK
    assert [f.at for f in rig.sink.frames] == sorted(f.at for f in rig.sink.frames)


def frame_at(t: float) -> Decoded:
    frame = Decoded(64, 48, "yuv420p")
    frame.pts = round(t * 90_000)
    return frame


def test_silence_is_told_once_and_so_is_the_return() -> None:
    rig = Rig()
    rig.picture(0.0)
    for _ in range(3):
        rig.now += 2.0
        rig.intake.check()
    assert rig.sink.told == ["no media for 4 s"]
    rig.picture(20.0)
    rig.picture(20.1)
    assert rig.sink.told[1:] == ["back", MediaBreak(pytest.approx(20.0), BreakKind.GAP)]


def test_a_source_that_never_sends_is_given_longer() -> None:
    rig = Rig()
    rig.now += 9.0
    rig.intake.check()
    assert rig.sink.told == []
    rig.now += 2.0
    rig.intake.check()
    assert rig.sink.told == ["no media for 11 s"]


def test_a_lost_source_gives_its_last_samples_first() -> None:
    rig = Rig()
    rig.sound(0.0)
    rig.intake.lose("the connection failed")
    rig.intake.lose("again")
    assert sum(len(c.samples) for c in rig.sink.chunks) == 320
    assert rig.sink.told == ["the connection failed"]


@pytest.mark.parametrize("lost", [True, False])
def test_a_second_source_follows_a_gap(lost: bool) -> None:
    rig = Rig(gap=True, lost=lost)
    rig.picture(0.0)
    rig.sound(0.0)
    expected: list[object] = [MediaBreak(0.0, BreakKind.GAP)]
    assert rig.sink.told == (["back", *expected] if lost else expected)


def test_frames_without_a_time_are_dropped() -> None:
    rig = Rig()
    rig.intake.video(Decoded(64, 48, "yuv420p"))
    assert (rig.intake.counts.dropped, rig.sink.frames) == (1, [])


def test_pictures_beyond_a_size_or_a_rate_are_dropped_and_counted() -> None:
    rig = Rig()
    rig.picture(0.0, (4096, 2160))
    rig.picture(0.1, (4096, 2162))
    assert (len(rig.sink.frames), rig.intake.counts.dropped) == (1, 1)
    for number in range(2400):  # 4 s at 600 pictures a second
        rig.picture(0.2 + number / 600)
    assert 4 * 120 <= len(rig.sink.frames) <= 5 * 120 + 2
    before = rig.intake.counts.dropped
    for number in range(120):
        rig.picture(10 + number / 60)
    assert rig.intake.counts.dropped == before
