from __future__ import annotations

import pytest

from clients.mqtt.__main__ import main
from clients.mqtt.once import Once


def test_an_event_that_comes_again_is_not_fresh() -> None:
    once = Once()
    heard = [("a", 1), ("a", 2), ("b", 1), ("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2)]
    fresh = [one for one in heard if once.fresh({"session": one[0], "seq": one[1]})]
    assert fresh == [("a", 1), ("a", 2), ("b", 1), ("a", 3), ("b", 2)]


def test_what_is_remembered_is_bounded_and_the_busy_are_not_forgotten() -> None:
    once = Once()
    for number in range(5000):
        assert once.fresh({"session": f"s{number}", "seq": 1})
        assert once.fresh({"session": "busy", "seq": number + 1})
    assert not once.fresh({"session": "busy", "seq": 5000})
    assert not once.fresh({"session": "s4999", "seq": 1})


def test_without_a_broker_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["porch", "What is this?", "--port", "9"]) == 1
    assert "127.0.0.1:9 is not there" in capsys.readouterr().err
