import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_service.speech.tape import Tape


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 10), max_size=20), st.integers(0, 80), st.integers(0, 80))
def test_the_newest_samples_are_read_back_as_they_were(sizes: list[int], first: int, stop: int) -> None:
    tape, everything = Tape(10), np.arange(sum(sizes), dtype=np.float32)
    done = 0
    for size in sizes:
        tape.append(everything[done : done + size])
        done += size
    held = everything[max(0, done - 10) :]
    assert tape.start == done - len(held)
    expected = everything[max(first, tape.start) : max(first, tape.start, stop)]
    np.testing.assert_array_equal(tape.read(first, stop), expected)


def test_times_follow_the_newest_anchor() -> None:
    tape = Tape(32_000)
    tape.anchor(5.0)
    tape.append(np.zeros(16_000, dtype=np.float32))
    assert tape.time(8_000) == pytest.approx(5.5)
    tape.anchor(6.25)
    assert tape.time(16_000) == pytest.approx(6.25)
