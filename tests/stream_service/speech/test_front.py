import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_service.speech.front import SpeechFront
from stream_service.speech.settings import SpeechSettings
from stream_service.types import (
    SAMPLE_RATE,
    AudioChunk,
    Samples,
    SpeechDropped,
    SpeechEvent,
    SpeechPaused,
    SpeechStarted,
    SpeechStopped,
    TalkMode,
)

FRAME_S = 0.032


class Loudness:
    """A voice is what is loud."""

    def __init__(self) -> None:
        self.resets = 0

    def probability(self, frame: Samples) -> float:
        assert frame.shape == (512,)
        return float(np.abs(frame).mean())

    def reset(self) -> None:
        self.resets += 1


def sound(*pieces: tuple[float, float]) -> Samples:
    """Pieces of (level, seconds)."""
    return np.concatenate([np.full(round(s * SAMPLE_RATE), level, dtype=np.float32) for level, s in pieces])


def hear(front: SpeechFront, samples: Samples, *, at: float = 0.0, chunk: int = 320) -> list[SpeechEvent]:
    events: list[SpeechEvent] = []
    for first in range(0, len(samples), chunk):
        events += front.push(AudioChunk(at + first / SAMPLE_RATE, samples[first : first + chunk]))
    return events


def front_of(mode: TalkMode = TalkMode.HANDS_FREE, **settings: float) -> SpeechFront:
    return SpeechFront(SpeechSettings.model_validate({"mode": mode, **settings}), Loudness())


def test_a_turn_is_cut_out_with_its_margins_and_dated_in_stream_time() -> None:
    events = hear(front_of(), sound((0, 1.024), (0.9, 1.024), (0, 1)), at=100.0)
    started, paused, stopped = events
    assert isinstance(started, SpeechStarted)
    assert isinstance(paused, SpeechPaused)
    assert isinstance(stopped, SpeechStopped)
    assert started.at == pytest.approx(101.024)
    assert stopped.at == paused.at == pytest.approx(102.048)
    assert stopped.duration == pytest.approx(1.024)
    assert stopped.utterance is paused.utterance
    utterance = stopped.utterance
    assert utterance.start == pytest.approx(101.024 - 13 * FRAME_S)
    assert utterance.end == pytest.approx(102.048 + 8 * FRAME_S)
    assert len(utterance.samples) == round((utterance.end - utterance.start) * SAMPLE_RATE)
    np.testing.assert_array_equal(np.flatnonzero(utterance.samples)[[0, -1]], [13 * 512, 45 * 512 - 1])


def test_speech_from_the_very_first_sample_on_is_heard_whole() -> None:
    events = hear(front_of(), sound((0.9, 1), (0, 1)))
    assert isinstance(events[-1], SpeechStopped)
    assert events[-1].utterance.start == 0.0


def test_a_pause_within_a_question_gives_a_longer_utterance() -> None:
    events = hear(front_of(), sound((0.9, 1), (0, 0.4), (0.9, 1), (0, 1)))
    paused = [event for event in events if isinstance(event, SpeechPaused)]
    assert isinstance(events[-1], SpeechStopped)
    assert len(paused) == 2
    assert events[-1].utterance is paused[1].utterance
    assert len(paused[1].utterance.samples) > len(paused[0].utterance.samples)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 4000), min_size=1, max_size=30))
def test_how_the_samples_are_cut_into_chunks_does_not_matter(sizes: list[int]) -> None:
    samples = sound((0, 0.3), (0.9, 0.8), (0, 0.7), (0.9, 0.5), (0, 0.6))
    front, events, first = front_of(), [], 0
    for size in [*sizes, len(samples)]:
        events += front.push(AudioChunk(first / SAMPLE_RATE, samples[first : first + size]))
        first = min(first + size, len(samples))
    whole = hear(front_of(), samples)
    assert [type(event) for event in events] == [type(event) for event in whole]
    assert [event.at for event in events] == pytest.approx([event.at for event in whole])


def test_a_gap_in_the_sound_drops_the_turn_and_says_so() -> None:
    front = front_of()
    assert isinstance(hear(front, sound((0.9, 1)))[-1], SpeechStarted)
    events = hear(front, sound((0.9, 1), (0, 1)), at=3.0)
    assert [type(event) for event in events] == [SpeechDropped, SpeechStarted, SpeechPaused, SpeechStopped]
    assert isinstance(events[-1], SpeechStopped)
    assert events[-1].utterance.start >= 3.0


def test_a_reset_drops_the_turn_and_without_a_turn_says_nothing() -> None:
    front = front_of()
    assert front.reset() == []
    hear(front, sound((0.9, 1)))
    assert [type(event) for event in front.reset()] == [SpeechDropped]


def test_overlong_speech_is_dropped_once() -> None:
    events = hear(front_of(max_utterance_s=2), sound((0.9, 7), (0, 1)))
    assert [type(event) for event in events] == [SpeechStarted, SpeechDropped]


def test_off_hears_nothing_and_runs_no_detector() -> None:
    assert hear(front_of(TalkMode.OFF), sound((0.9, 1), (0, 1))) == []


def test_push_to_talk_takes_what_was_said_under_the_key() -> None:
    front = front_of(TalkMode.PUSH_TO_TALK)
    assert hear(front, sound((0.9, 0.5), (0, 0.524))) == []
    assert [type(event) for event in front.press()] == [SpeechStarted]
    assert hear(front, sound((0, 0.512), (0.9, 1.024), (0, 2.048)), at=1.024) == []
    (stopped,) = front.release()
    assert isinstance(stopped, SpeechStopped)
    assert stopped.at == pytest.approx(1.024 + 3.584), "released: the question is about this moment"
    assert stopped.utterance.end == pytest.approx(1.024 + 1.536 + 8 * FRAME_S), "but silence is not transcribed"


def test_a_release_within_the_last_word_waits_for_its_end() -> None:
    front = front_of(TalkMode.PUSH_TO_TALK)
    front.press()
    hear(front, sound((0.9, 1.024)))
    assert front.release() == []
    events = hear(front, sound((0.9, 0.064), (0, 0.064)), at=1.024)
    assert [type(event) for event in events] == [SpeechStopped]


def test_a_key_held_in_silence_is_explained() -> None:
    front = front_of(TalkMode.PUSH_TO_TALK)
    front.press()
    hear(front, sound((0, 1)))
    (dropped,) = front.release()
    assert isinstance(dropped, SpeechDropped)
    assert "No voice" in dropped.reason


def test_the_key_means_nothing_in_other_modes() -> None:
    front = front_of()
    assert front.press() == front.release() == []


def test_a_change_of_mode_drops_the_turn_and_listens_afresh() -> None:
    front = front_of()
    hear(front, sound((0.9, 1)))
    assert [type(event) for event in front.set_mode(TalkMode.PUSH_TO_TALK)] == [SpeechDropped]
    assert front.set_mode(TalkMode.PUSH_TO_TALK) == []
    assert hear(front, sound((0.9, 1), (0, 1)), at=1.0) == []
    assert front.set_mode(TalkMode.HANDS_FREE) == []
    assert len(hear(front, sound((0.9, 1), (0, 1)), at=3.0)) == 3


def test_settings_refuse_contradictions() -> None:
    with pytest.raises(ValueError, match="release_threshold"):
        SpeechSettings(threshold=0.4, release_threshold=0.6)
    with pytest.raises(ValueError, match="tail_ms"):
        SpeechSettings(tail_ms=800)
