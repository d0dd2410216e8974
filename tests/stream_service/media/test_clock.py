"""Stream time: by sender reports where they come, by packet arrival before, never backwards."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_service.media.clock import Stamp, StreamClock, Track

WRAP = 1 << 32
NTP = 3_000_000.0


class Sender:
    """A camera whose video is captured ``late`` seconds after its packets' siblings, and a local clock to set."""

    def __init__(self, *, video_start: int = 0, audio_start: int = 0) -> None:
        self.now = 100.0
        self.clock = StreamClock(lambda: self.now)
        self.start = {Track.VIDEO: video_start, Track.AUDIO: audio_start}
        self.rate = {Track.VIDEO: 90_000, Track.AUDIO: 48_000}

    def timestamp(self, track: Track, t: float) -> int:
        return (self.start[track] + round(t * self.rate[track])) % WRAP

    def frame(self, track: Track, t: float, delay: float = 0.0) -> Stamp | None:
        """A frame captured at sender second ``t`` that takes ``delay`` to arrive."""
        self.now = max(self.now, 100.0 + t + delay)
        return self.clock.stamp(track, self.timestamp(track, t), self.rate[track])

    def report(self, track: Track, t: float) -> None:
        self.clock.report(track, NTP + t, self.timestamp(track, t))


def at(stamp: Stamp | None) -> float:
    assert stamp is not None
    return stamp.at


def test_the_first_media_is_second_zero_and_the_other_track_is_laid_by_its_arrival() -> None:
    sender = Sender(video_start=12_345, audio_start=999)
    assert sender.frame(Track.AUDIO, 0.0) == Stamp(0.0)
    assert at(sender.frame(Track.VIDEO, 0.0, delay=0.1)) == pytest.approx(0.1)
    assert not sender.clock.aligned


def test_the_fastest_packet_before_the_first_frame_lays_the_track() -> None:
    sender = Sender()
    sender.frame(Track.AUDIO, 0.0)
    for t, arrival in ((0.0, 0.30), (0.1, 0.15), (0.2, 0.40)):
        sender.now = 100.0 + arrival
        sender.clock.heard(Track.VIDEO, sender.timestamp(Track.VIDEO, t), 90_000)
    assert at(sender.frame(Track.VIDEO, 0.0, delay=0.5)) == pytest.approx(0.05)


def test_the_first_five_seconds_settle_what_a_slow_start_laid_wrong() -> None:
    sender = Sender()
    sender.frame(Track.AUDIO, 0.0)
    before = at(sender.frame(Track.VIDEO, 0.0, delay=0.3))
    assert before == pytest.approx(0.3)
    times = []
    for n in range(1, 400):
        sender.frame(Track.AUDIO, n / 30)
        sender.now = 100.0 + n / 30
        times.append(at(sender.clock.stamp(Track.VIDEO, sender.timestamp(Track.VIDEO, n / 30), 90_000)) - n / 30)
    assert times[-1] == pytest.approx(0, abs=1e-3)
    assert not sender.clock.aligned


def test_a_first_packet_just_before_the_wrap_does_no_harm() -> None:
    sender = Sender(video_start=WRAP - 100)
    sender.clock.heard(Track.VIDEO, WRAP - 100, 90_000)
    assert at(sender.frame(Track.VIDEO, 0.1)) == pytest.approx(0.1)


def test_reports_move_the_picture_to_the_sound_once_both_have_come() -> None:
    sender = Sender(video_start=777, audio_start=WRAP - 5_000)
    sender.frame(Track.AUDIO, 0.0)
    sender.frame(Track.VIDEO, 0.0, delay=0.2)
    sender.report(Track.VIDEO, 0.5)
    assert not sender.clock.aligned
    sender.report(Track.AUDIO, 0.6)
    assert sender.clock.aligned
    assert sender.clock.skews == [pytest.approx(0.2, abs=1e-4)]
    assert at(sender.frame(Track.VIDEO, 1.0, delay=0.2)) == pytest.approx(1.0, abs=1e-3)
    assert at(sender.frame(Track.AUDIO, 1.1)) == pytest.approx(1.1, abs=1e-3)


def test_a_correction_never_turns_time_back() -> None:
    sender = Sender()
    sender.frame(Track.AUDIO, 0.0)
    before = at(sender.frame(Track.VIDEO, 0.0, delay=0.2))
    sender.report(Track.VIDEO, 0.0)
    sender.report(Track.AUDIO, 0.0)
    times = [before] + [at(sender.frame(Track.VIDEO, n / 30, delay=0.2)) for n in range(1, 12)]
    assert times == sorted(set(times))
    assert times[-1] == pytest.approx(11 / 30, abs=1e-3)


def test_reports_follow_the_drift_between_the_tracks() -> None:
    sender = Sender()
    sender.rate[Track.VIDEO] = 90_009
    for n in range(0, 600):
        t = n / 2
        sender.frame(Track.AUDIO, t)
        stamp = sender.clock.stamp(Track.VIDEO, sender.timestamp(Track.VIDEO, t), 90_000)
        if n % 10 == 0:
            sender.report(Track.VIDEO, t)
            sender.report(Track.AUDIO, t)
        assert at(stamp) == pytest.approx(t, abs=0.003)


def test_a_sender_without_reports_keeps_the_first_alignment() -> None:
    sender = Sender()
    for n in range(300):
        sender.frame(Track.AUDIO, n / 10)
        assert at(sender.frame(Track.VIDEO, n / 10)) == pytest.approx(n / 10, abs=0.002)
    assert not sender.clock.aligned
    assert sender.clock.skews == []


def test_reports_that_contradict_arrival_are_not_believed() -> None:
    sender = Sender()
    sender.frame(Track.AUDIO, 0.0)
    sender.frame(Track.VIDEO, 0.0)
    sender.report(Track.AUDIO, 0.0)
    sender.clock.report(Track.VIDEO, NTP + 3600, sender.timestamp(Track.VIDEO, 0.0))
    assert (sender.clock.aligned, sender.clock.rejected) == (False, 1)
    assert at(sender.frame(Track.VIDEO, 1.0)) == pytest.approx(1.0)


def test_a_step_of_the_senders_wall_clock_changes_nothing() -> None:
    sender = Sender()
    sender.frame(Track.AUDIO, 0.0)
    sender.frame(Track.VIDEO, 0.0)
    for track in Track:
        sender.report(track, 0.0)
    for track in (Track.VIDEO, Track.AUDIO):
        sender.clock.report(track, NTP - 1_000 + 1.0, sender.timestamp(track, 1.0))
        assert at(sender.frame(Track.VIDEO, 1.0 + (track is Track.AUDIO))) == pytest.approx(
            1.0 + (track is Track.AUDIO), abs=1e-3
        )
    assert sender.clock.rejected == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, WRAP - 1), st.integers(0, WRAP - 1))
def test_any_start_and_any_wrap_give_the_same_times(video: int, audio: int) -> None:
    sender = Sender(video_start=video, audio_start=audio)
    for n in range(20):
        t = n * 2_000.0
        for track in Track:
            stamp = sender.frame(track, t)
            assert stamp is not None
            assert not stamp.jumped
            assert stamp.at == pytest.approx(t, abs=2e-3)


@pytest.mark.parametrize("jump", [-3_000.0, -2.0, 3.0, 500.0, 20_000.0])
def test_a_clock_jump_is_told_and_stream_time_goes_on(jump: float) -> None:
    sender = Sender()
    for n in range(30):
        sender.frame(Track.VIDEO, n / 30)
    sender.now = 101.0
    stamp = sender.clock.stamp(Track.VIDEO, sender.timestamp(Track.VIDEO, 1.0 + jump), 90_000)
    assert stamp is not None
    assert stamp.jumped
    assert stamp.at == pytest.approx(1.0, abs=1e-3)
    sender.now += 0.1
    after = sender.clock.stamp(Track.VIDEO, sender.timestamp(Track.VIDEO, 1.1 + jump), 90_000)
    assert after is not None
    assert not after.jumped
    assert after.at == pytest.approx(1.1, abs=1e-3)


def test_a_pause_is_no_jump_and_neither_is_a_backlog() -> None:
    sender = Sender()
    sender.frame(Track.VIDEO, 0.0)
    pause = sender.frame(Track.VIDEO, 60.0)
    assert pause == Stamp(pytest.approx(60.0))
    late = sender.frame(Track.VIDEO, 60.1, delay=5.0)
    hole = sender.frame(Track.VIDEO, 65.0)
    assert [late, hole] == [Stamp(pytest.approx(60.1)), Stamp(pytest.approx(65.0))]


def test_a_frame_out_of_order_is_dropped() -> None:
    sender = Sender()
    sender.frame(Track.VIDEO, 1.0)
    assert sender.frame(Track.VIDEO, 0.8) is None
    assert sender.frame(Track.VIDEO, 1.0) is None


def test_another_source_goes_on_by_the_time_that_passed() -> None:
    sender = Sender(video_start=5, audio_start=6)
    for n in range(31):
        sender.frame(Track.AUDIO, n / 10)
    assert sender.clock.begin()
    sender.start = {Track.VIDEO: 1_000_000, Track.AUDIO: 2_000_000}
    sender.now = 100.0 + 3.0 + 7.5
    assert at(sender.clock.stamp(Track.VIDEO, 1_000_000, 90_000)) == pytest.approx(10.5)
    assert not StreamClock(lambda: 0.0).begin()


def test_a_session_of_an_earlier_run_goes_on_by_the_time_that_passed() -> None:
    sender = Sender()
    sender.now = 50.0
    sender.clock.resume(40.0)
    sender.now = 53.0
    assert sender.clock.begin()
    assert sender.clock.stamp(Track.AUDIO, 12_345, 48_000) == Stamp(pytest.approx(43.0))
