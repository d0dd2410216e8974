from stream_service.speech.endpoint import Mark
from stream_service.speech.held import HeldTurn
from tests.stream_service.speech.test_endpoint import RULES


def push(turn: HeldTurn, p: float, n: int) -> list[Mark]:
    return [mark for mark in (turn.push(p) for _ in range(n)) if mark is not None]


def test_the_key_bounds_the_turn() -> None:
    turn = HeldTurn(RULES)
    assert push(turn, 0.9, 10) == []
    assert turn.press() is Mark.STARTED
    assert push(turn, 0.0, 5) + push(turn, 0.9, 20) + push(turn, 0.0, 3) == []
    assert turn.release() is Mark.ENDED
    assert (turn.first, turn.last_voiced, turn.end) == (15, 34, 38)


def test_a_voice_that_still_sounds_is_followed_to_its_end() -> None:
    turn = HeldTurn(RULES)
    turn.press()
    push(turn, 0.9, 10)
    assert turn.release() is None
    assert push(turn, 0.9, 3) == []
    assert turn.push(0.0) is Mark.ENDED


def test_it_is_followed_for_no_longer_than_the_grace() -> None:
    turn = HeldTurn(RULES)
    turn.press()
    push(turn, 0.9, 10)
    turn.release()
    assert push(turn, 0.9, RULES.release_grace - 1) == []
    assert turn.push(0.9) is Mark.ENDED
    assert not turn.open


def test_silence_under_the_key_is_an_empty_turn() -> None:
    turn = HeldTurn(RULES)
    turn.press()
    push(turn, 0.1, 30)
    assert turn.release() is Mark.EMPTY


def test_press_and_release_at_the_same_sample_are_an_empty_turn() -> None:
    turn = HeldTurn(RULES)
    assert turn.press() is Mark.STARTED
    assert turn.release() is Mark.EMPTY


def test_repeated_presses_and_stray_releases_change_nothing() -> None:
    turn = HeldTurn(RULES)
    assert turn.release() is None
    turn.press()
    push(turn, 0.9, 10)
    assert turn.press() is None
    push(turn, 0.0, 1)
    assert turn.release() is Mark.ENDED
    assert turn.release() is None


def test_a_key_held_too_long_gives_up_once_and_works_again_after_its_release() -> None:
    turn = HeldTurn(RULES)
    turn.press()
    assert push(turn, 0.9, 200) == [Mark.OVERLONG]
    assert turn.release() is None
    assert turn.press() is Mark.STARTED
