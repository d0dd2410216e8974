"""Windows are exact to the sample, gapless in their indices, and the same for every order of arrival."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_service.types import SAMPLE_RATE, AudioChunk, BreakKind, FramePixels, MediaBreak, Window
from stream_service.windows import Windower, WindowSettings


@dataclass(frozen=True)
class Picture:
    """A 1x1 picture whose pixel tells its time in units of 1/30 s."""

    at: float
    source_size: tuple[int, int] = (640, 480)

    def pixels(self) -> FramePixels:
        number = round(self.at * 30)
        return np.array([[[number // 256, number % 256, 0]]], np.uint8)


def shown(window: Window) -> list[int]:
    assert window.frames is not None
    return [int(f[0, 0, 0]) * 256 + int(f[0, 0, 1]) for f in window.frames]


def sound(start: int, end: int) -> AudioChunk:
    """Samples whose values are their own positions plus one (so that no sample is mistaken for a filled gap)."""
    return AudioChunk(start / SAMPLE_RATE, np.arange(start + 1, end + 1, dtype=np.float32))


def make(*, video: bool = True, audio: bool = True, **settings: float) -> Windower:
    windower = Windower("s", WindowSettings(**settings))
    windower.tracks(video=video, audio=audio)
    return windower


def play(windower: Windower, start: float, end: float, fps: int = 30) -> list[Window]:
    """Push both tracks in step, 20 ms of sound and whatever frames fall into it."""
    out: list[Window] = []
    for k in range(round(start * 50), round(end * 50)):
        for n in range(-(-k * fps // 50), -(-(k + 1) * fps // 50)):
            out += windower.push_video(Picture(n / fps))
        out += windower.push_audio(sound(k * 320, (k + 1) * 320))
    return out


@pytest.mark.parametrize("back", [41.0, 43.0, 90.0])
def test_a_session_of_an_earlier_run_goes_on_with_its_numbers_and_its_time(back: float) -> None:
    windower = Windower("s", WindowSettings(), first=7, start=40.0)
    assert windower.position == 40.0
    windower.tracks(video=True, audio=True)
    assert windower.mark_break(MediaBreak(back, BreakKind.GAP)) == []
    first, second = play(windower, back, back + 4.2)
    assert (first.index, first.start, first.new_segment) == (7, back, True)
    assert (second.index, second.start, second.new_segment) == (8, back + 2, False)
    assert first.samples is not None
    assert first.samples[0] == round(back * SAMPLE_RATE) + 1


def test_whole_windows_carry_the_frames_of_their_grid_and_all_their_samples() -> None:
    windows = play(make(), 0, 4.2)
    assert [(w.index, w.start, w.end, w.new_segment) for w in windows] == [(0, 0, 2, True), (1, 2, 4, False)]
    assert [shown(w) for w in windows] == [[0, 15, 30, 45], [60, 75, 90, 105]]
    assert np.array_equal(windows[1].samples, np.arange(32_001, 64_001))
    assert [w.lost_frames for w in windows] == [0, 0]


def test_a_cut_ends_the_window_there_and_the_grid_restarts() -> None:
    windower = make()
    windows = play(windower, 0, 3.6)
    windows += windower.cut(3.3)
    windows += play(windower, 3.6, 5.5)
    closing, after = windows[1:]
    assert (closing.start, closing.end, after.start, after.end) == (2, 3.3, 3.3, 5.3)
    assert shown(closing)[:3] == [60, 75, 90]
    assert 99 - 0.25 * 30 <= shown(closing)[3] <= 99
    assert closing.lost_frames == 0
    assert np.array_equal(closing.samples[:20_800], np.arange(32_001, 52_801))
    assert not closing.samples[20_800:].any()
    assert np.array_equal(after.samples, np.arange(52_801, 84_801))
    assert shown(after)[2:] == [round(4.3 * 30), round(4.8 * 30)]
    assert abs(shown(after)[1] - 3.8 * 30) <= 0.25 * 30


def test_a_cut_within_the_first_second_closes_one_patch() -> None:
    windower = make()
    play(windower, 0, 2.5)
    (closing,) = windower.cut(2.4)
    assert closing.frames is not None
    assert closing.samples is not None
    assert (len(closing.frames), len(closing.samples)) == (2, 16_000)
    assert shown(closing)[0] == 60
    assert 72 - 0.25 * 30 <= shown(closing)[1] <= 72


def test_a_cut_finds_nothing_new() -> None:
    windower = make()
    play(windower, 0, 2.5)
    assert len(windower.cut(2.5)) == 1
    assert windower.cut(2.5) == []
    assert windower.cut(1.0) == []
    assert make().cut(10.0) == []


def test_a_cut_does_not_wait_for_a_late_track() -> None:
    windower = make(patience_s=2.0)
    for n in range(0, 50):
        windower.push_video(Picture(n / 30))
    for k in range(0, 125):
        assert windower.push_audio(sound(k * 320, (k + 1) * 320)) == []
    whole, closing = windower.cut(2.5)
    assert (whole.end, closing.end) == (2, 2.5)
    assert shown(whole) == [0, 15, 30, 45]
    assert shown(closing) == [49, 49]
    assert closing.lost_frames == 1


def test_a_cut_ahead_of_the_sound_ends_where_the_sound_does() -> None:
    windower = make()
    play(windower, 0, 0.5)
    windower.push_video(Picture(0.7))
    (closing,) = windower.cut(0.7)
    assert closing.end == 0.5


def test_dropped_frames_are_repeated_and_counted() -> None:
    windower = make(audio=False)
    windows = []
    for n in [*range(0, 16), *range(50, 70)]:
        windows += windower.push_video(Picture(n / 30))
    assert shown(windows[0]) == [0, 15, 15, 15]
    assert windows[0].lost_frames == 2
    assert windows[0].samples is None


def test_gaps_of_sound_are_zeros_and_overlaps_are_dropped() -> None:
    windower = make(video=False)
    windower.push_audio(sound(0, 8_000))
    windower.push_audio(sound(12_000, 20_000))
    windower.push_audio(sound(16_000, 24_000))
    (window,) = windower.push_audio(sound(24_000, 40_000))
    expected = np.arange(1, 32_001, dtype=np.float32)
    expected[8_000:12_000] = 0
    assert np.array_equal(window.samples, expected)
    assert window.frames is None


def test_a_stalled_track_is_waited_for_only_so_long() -> None:
    windower = make(patience_s=0.5, stale_s=3.0)
    windows = play(windower, 0, 1)
    for k in range(50, 400):
        got = windower.push_audio(sound(k * 320, (k + 1) * 320))
        if got and len(windows) == 0:
            assert k + 1 == 125
        windows += got
    assert [w.frames is None for w in windows] == [False, False, True, True]
    assert [w.lost_frames for w in windows] == [1, 4, 0, 0]
    assert [w.new_segment for w in windows] == [True, False, True, False]
    back = play(windower, 8, 10.1)
    assert [(w.frames is None, w.new_segment) for w in back] == [(False, True)]


def test_a_track_that_never_comes_does_not_hold_windows_for_ever() -> None:
    windower = make(patience_s=0.5, stale_s=3.0)
    closed = []
    for k in range(500):
        closed += [(k + 1) / 50 for _ in windower.push_audio(sound(k * 320, (k + 1) * 320))]
    assert closed == [2.5, 4.5, 6.0, 8.0, 10.0]


def test_a_break_opens_a_segment_at_the_patch_it_falls_in() -> None:
    windower = make()
    windows = play(windower, 0, 3.5)
    windows += windower.mark_break(MediaBreak(3.5, BreakKind.RESOLUTION))
    windows += play(windower, 3.5, 7.2)
    assert [(w.start, w.end, w.new_segment) for w in windows] == [
        (0, 2, True), (2, 3, False), (3, 5, True), (5, 7, False)
    ]  # fmt: skip
    assert all(len(w.frames) * 8_000 == len(w.samples) for w in windows if w.frames is not None)


def test_a_break_in_the_first_patch_makes_the_open_window_the_new_segment() -> None:
    windower = make()
    play(windower, 0, 2.5)
    windower.mark_break(MediaBreak(2.5, BreakKind.CLOCK))
    (window,) = play(windower, 2.5, 4.1)
    assert (window.start, window.new_segment) == (2, True)


def test_a_gap_closes_what_was_there_and_goes_on_after_it() -> None:
    windower = make()
    windows = play(windower, 0, 2.6)
    windows += windower.mark_break(MediaBreak(10.0, BreakKind.GAP))
    assert windower.position == 10.0
    windows += play(windower, 10, 12.1)
    assert [(w.index, w.start, w.end, w.new_segment) for w in windows] == [
        (0, 0, 2, True), (1, 2, 2.6, False), (2, 10, 12, True)
    ]  # fmt: skip
    assert shown(windows[2]) == [300, 315, 330, 345]


def test_a_jump_that_nobody_announced_is_a_gap_too() -> None:
    windower = make(video=False)
    windower.push_audio(sound(0, 16_000))
    (before,) = windower.push_audio(sound(16_000_000, 16_016_000))
    assert (before.end, windower.position) == (1.0, 1001.0)
    (after,) = windower.push_audio(sound(16_016_000, 16_032_000))
    assert (after.index, after.start, after.new_segment) == (1, 1000.0, True)


def test_a_track_that_leaves_or_joins_starts_a_segment() -> None:
    windower = make()
    play(windower, 0, 2.1)
    windower.tracks(video=False, audio=True)
    (window,) = play(windower, 2.1, 4.1)
    assert (window.frames, window.new_segment) == (None, True)


def test_media_of_an_undeclared_track_is_ignored() -> None:
    windower = make(video=False)
    assert windower.push_video(Picture(50.0)) == []
    assert windower.position == 0.0


def test_late_frames_and_samples_change_nothing() -> None:
    windower = make()
    play(windower, 0, 3)
    windower.push_video(Picture(1.0))
    windower.push_audio(sound(0, 320))
    (window,) = play(windower, 3, 4.1)
    assert shown(window) == [60, 75, 90, 105]
    assert np.array_equal(window.samples, np.arange(32_001, 64_001))


def test_buffers_stay_small_while_one_track_is_away() -> None:
    windower = make()
    for n in range(3_000):
        windower.push_video(Picture(n / 30))
    assert len(windower._video._frames) <= 6 * (2 + 0.75) + 3


@pytest.mark.parametrize("fps", [30, 15, 10, 2])
def test_a_slower_camera_loses_nothing_that_it_sent(fps: int) -> None:
    windows = play(make(), 0, 6.6, fps)
    assert len(windows) == 3
    assert [w.lost_frames for w in windows] == [0, 0, 0]


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[float], list[tuple[int, int]], list[bool], list[bool]]:
    """Frames with holes, sound in uneven pieces with gaps and overlaps, and two orders in which they may arrive."""
    frames = [n / 30 for n in range(150) if draw(st.integers(0, 9)) > 0]
    pieces, at = [], 0
    while at < 80_000:
        start = max(0, at + draw(st.sampled_from([0, 0, 0, -160, 480])))
        at = start + draw(st.sampled_from([960, 1_920, 5_760]))
        pieces.append((start, at))
    return frames, pieces, draw(st.lists(st.booleans(), max_size=400)), draw(st.lists(st.booleans(), max_size=400))


def interleave(frames: list[float], pieces: list[tuple[int, int]], order: list[bool]) -> list[Window]:
    """Feed both tracks in the given order, neither more than 0.4 s ahead of the other."""
    windower = make()
    videos, audios, turns = list(frames), list(pieces), list(order)
    out: list[Window] = []
    while videos or audios:
        video_next = bool(turns.pop()) if turns else True
        if videos and audios:
            lead = videos[0] - audios[0][0] / SAMPLE_RATE
            video_next = video_next if abs(lead) < 0.4 else lead < 0
        if (video_next and videos) or not audios:
            out += windower.push_video(Picture(videos.pop(0)))
        else:
            out += windower.push_audio(sound(*audios.pop(0)))
    return out


@settings(max_examples=12, deadline=None)
@given(arrivals())
def test_any_order_of_arrival_gives_the_same_windows(case: tuple) -> None:
    frames, pieces, one, other = case
    a, b = interleave(frames, pieces, one), interleave(frames, pieces, other)
    for x, y in zip(a, b, strict=True):
        assert (x.index, x.start, x.end, x.lost_frames) == (y.index, y.start, y.end, y.lost_frames)
        assert np.array_equal(x.samples, y.samples)
        assert np.array_equal(x.frames, y.frames)


@settings(max_examples=12, deadline=None)
@given(arrivals(), st.lists(st.floats(0, 6), max_size=6))
def test_no_sample_is_lost_or_doubled_by_any_cuts(case: tuple, cuts: list[float]) -> None:
    frames, pieces, _, _ = case
    windower = make()
    pending, out = sorted(cuts), []
    for start, end in pieces:
        while frames and frames[0] <= end / SAMPLE_RATE:
            out += windower.push_video(Picture(frames.pop(0)))
        out += windower.push_audio(sound(start, end))
        if pending and pending[0] < windower.position:
            out += windower.cut(pending.pop(0))
    out += windower.cut(6.5)
    assert [w.index for w in out] == list(range(len(out)))
    assert all(a.end == b.start for a, b in pairwise(out))
    real = np.concatenate([w.samples[: round((w.end - w.start) * SAMPLE_RATE)] for w in out])
    expected = np.zeros(len(real), np.float32)
    for start, end in pieces:
        expected[start : min(end, len(real))] = np.arange(start + 1, min(end, len(real)) + 1)
    assert np.array_equal(real, expected)
    assert pieces[-1][1] - len(real) < 0.1 * SAMPLE_RATE
