"""Which windows are suspected of killing the engine, and what becomes of the rest."""

from __future__ import annotations

from typing import Any

from stream_service.engine.messages import Asked, Feed
from stream_service.engine.tenant import Tenant
from stream_service.types import CancelReason, SessionSettings, Span
from tests.stream_service.engine.builders import question, window


def tenant(hold_s: float = 20.0, windows: int = 0) -> Tenant:
    """A session whose engine got ``windows`` windows."""
    nobody_waits: Any = None
    made = Tenant(SessionSettings(), hold_s, nobody_waits)
    for index in range(windows):
        made.keep([window("a", index)], sent=True)
    return made


def given(of: Tenant) -> list[int | str]:
    """What is sent to the engine next."""
    order: list[int | str] = []
    for command in of.next(now=5.0):
        match command:
            case Feed(one):
                order.append(one.index)
            case Asked(asked):
                order.append(asked.id)
    return order


def test_a_first_death_is_no_ones_fault() -> None:
    one = tenant(windows=3)
    one.crashed()
    assert one.rebuild() == (3, ())
    assert given(one) == [0, 1, 2]


def test_the_window_that_a_new_engine_dies_over_is_left_out() -> None:
    one = tenant(windows=3)
    one.crashed()
    given(one)
    one.fused(0)
    one.crashed()
    assert one.rebuild() == (2, (Span(1, 1),))
    assert given(one) == [0, 2]


def test_an_engine_that_goes_on_dying_gets_only_what_was_fused() -> None:
    one = tenant(windows=4)
    one.crashed()
    given(one)
    one.crashed()
    given(one)
    one.fused(1)
    one.crashed()
    assert one.rebuild() == (1, (Span(0, 0), Span(2, 3)))
    assert given(one) == [1]


def test_a_rebuilt_memory_is_trusted_again() -> None:
    one = tenant(windows=2)
    for _ in range(3):
        one.crashed()
        given(one)
        one.fused(1)
    one.crashed()
    assert one.rebuild() == (2, ())


def test_windows_never_sent_are_no_suspects() -> None:
    one = tenant(hold_s=40.0, windows=10)
    one.crashed()
    assert given(one) == [0, 1, 2, 3]
    one.fused(3)
    one.crashed()
    assert one.rebuild() == (10, ())


def test_a_question_that_was_reached_is_suspected_before_a_window() -> None:
    one = tenant(windows=2)
    one.ask(question(), 1.0, sent=True)
    one.keep([window("a", 2)], sent=True)
    assert one.crashed() == []
    assert given(one) == [0, 1, "q", 2]
    one.fused(1)
    (over,) = one.crashed()
    assert (over.question.id, over.tries, over.ending) == ("q", 2, None)
    assert one.rebuild() == (3, ())


def test_a_question_asked_again_counts_its_time_anew() -> None:
    one = tenant(windows=1)
    one.ask(question(), 1.0, sent=True)
    one.crashed()
    _, asked = one.next(now=5.0)
    assert isinstance(asked, Asked)
    assert (asked.at, asked.sent, asked.closing) == (1.0, 5.0, ())


def test_a_question_being_cancelled_ends() -> None:
    one = tenant(windows=1)
    one.ask(question(), 1.0, sent=True).ending = CancelReason.BARGE_IN
    (over,) = one.crashed()
    assert over.ending is CancelReason.BARGE_IN
    assert given(one) == [0]


def test_a_question_whose_windows_are_gone_is_asked_about_the_first_that_is_left() -> None:
    one = tenant(hold_s=4.0, windows=1)
    one.ask(question(), 1.0, sent=True)
    for index in range(1, 5):
        one.keep([window("a", index)], sent=True)
    one.crashed()
    assert given(one) == [3, "q", 4]


def test_short_windows_take_less_of_what_is_held() -> None:
    one = tenant(hold_s=4.0)
    for index in range(5):
        one.keep([window("a", index, seconds=1.0)], sent=True)
    assert one.rebuild() == (4, (Span(0, 0),))


def test_nothing_is_held_where_nothing_is_to_be() -> None:
    one = tenant(hold_s=0.0)
    assert one.keep([window()], sent=True) == ([], 0)
    assert one.keep([window(index=1)], sent=False) == ([], 1)
    assert not one.behind


def test_losses_are_told_once_and_in_order() -> None:
    one = tenant(hold_s=4.0, windows=2)
    one.crashed()
    given(one)
    one.fused(0)
    one.crashed()
    one.keep([window("a", index) for index in (2, 3)], sent=False)
    assert one.rebuild() == (2, (Span(0, 1),))
    assert one.rebuild() == (2, ())
