from hypothesis import given, settings
from hypothesis import strategies as st

from stream_service.speech.endpoint import Endpointer, EndpointRules, Mark, Phase, frames
from stream_service.speech.settings import SpeechSettings

RULES = EndpointRules(
    threshold=0.5, release_threshold=0.35, min_speech=5, tail=8, end_of_turn=16, max_utterance=60, release_grace=8
)
probabilities = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.36, 0.4, 0.5, 0.9]), st.integers(1, 30)), max_size=20
).map(lambda runs: [p for p, n in runs for _ in range(n)])


def run(*pieces: tuple[float, int]) -> tuple[Endpointer, list[tuple[int, Mark]]]:
    endpointer = Endpointer(RULES)
    marks = []
    for frame, p in enumerate(p for p, n in pieces for _ in range(n)):
        if (mark := endpointer.push(p)) is not None:
            marks.append((frame, mark))
    return endpointer, marks


def test_one_turn_starts_pauses_and_ends_at_the_stated_frames() -> None:
    endpointer, marks = run((0.0, 10), (0.9, 20), (0.0, 30))
    assert marks == [(14, Mark.STARTED), (37, Mark.PAUSED), (45, Mark.ENDED)]
    assert (endpointer.first, endpointer.last_voiced, endpointer.end) == (10, 29, 30)


def test_a_pause_shorter_than_the_hang_over_stays_within_the_turn() -> None:
    _, marks = run((0.9, 10), (0.0, 15), (0.9, 10), (0.0, 20))
    assert [mark for _, mark in marks] == [Mark.STARTED, Mark.PAUSED, Mark.PAUSED, Mark.ENDED]


def test_hysteresis_keeps_a_fading_voice_and_does_not_begin_with_one() -> None:
    assert run((0.4, 40))[1] == []
    endpointer, marks = run((0.9, 6), (0.4, 10), (0.0, 16))
    assert marks[-1][1] is Mark.ENDED
    assert endpointer.last_voiced == 15


def test_a_burst_shorter_than_the_least_speech_is_nothing() -> None:
    endpointer, marks = run((0.9, 4), (0.0, 5))
    assert marks == []
    assert endpointer.phase is Phase.QUIET


def test_a_stop_consonant_does_not_break_an_onset() -> None:
    endpointer, marks = run((0.9, 3), (0.0, 4), (0.9, 3))
    assert [mark for _, mark in marks] == [Mark.STARTED]
    assert endpointer.first == 0


def test_endless_speech_is_given_up_once_and_heard_again_after_silence() -> None:
    _, marks = run((0.9, 200), (0.0, 16), (0.9, 10), (0.0, 16))
    assert [mark for _, mark in marks] == [Mark.STARTED, Mark.OVERLONG, Mark.STARTED, Mark.PAUSED, Mark.ENDED]


def test_durations_become_whole_frames_that_cover_them() -> None:
    rules = EndpointRules.of(SpeechSettings(end_of_turn_ms=550, tail_ms=64))
    assert (rules.end_of_turn, rules.tail) == (18, 2)
    assert frames(0.1) == 1


@settings(max_examples=30, deadline=None)
@given(probabilities)
def test_marks_alternate_and_bound_their_turns(values: list[float]) -> None:
    endpointer = Endpointer(RULES)
    opened: int | None = None
    for frame, p in enumerate(values):
        mark = endpointer.push(p)
        if mark is Mark.STARTED:
            assert opened is None
            opened = endpointer.first
            assert values[opened] >= RULES.threshold
        elif mark is Mark.PAUSED:
            assert opened is not None
            assert frame - endpointer.last_voiced == RULES.tail
        elif mark in (Mark.ENDED, Mark.OVERLONG):
            assert opened == endpointer.first
            assert frame - opened <= RULES.max_utterance + RULES.end_of_turn
            opened = None
        assert endpointer.open == (opened is not None)
        if mark is Mark.ENDED:
            silence = values[endpointer.last_voiced + 1 : frame + 1]
            assert len(silence) == RULES.end_of_turn
            assert max(silence) < RULES.release_threshold


@settings(max_examples=30, deadline=None)
@given(probabilities, probabilities)
def test_what_came_before_a_reset_has_no_influence(before: list[float], after: list[float]) -> None:
    used, fresh = Endpointer(RULES), Endpointer(RULES)
    for p in before:
        used.push(p)
    used.reset()
    assert [used.push(p) for p in after] == [fresh.push(p) for p in after]
