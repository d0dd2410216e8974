import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.python.soundtrack import BLOCK, Soundtrack, Speech
from clients.python.source import Pcm, Sound


def tone(level: int, samples: int) -> Pcm:
    return np.full(samples, level, dtype=np.int16)


def joined(blocks: list[tuple[int, Pcm]]) -> Pcm:
    for index, (first, block) in enumerate(blocks):
        assert first == index * BLOCK
        assert block.shape == (BLOCK,)
    return np.concatenate([block for _, block in blocks]) if blocks else tone(0, 0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(-500, 2_000), st.integers(0, 3_000)), max_size=8))
def test_samples_lie_where_their_times_say(pieces: list[tuple[int, int]]) -> None:
    track, blocks, truth, end = Soundtrack(), [], np.zeros(60_000, dtype=np.int16), 0
    for index, (gap, size) in enumerate(pieces, start=1):
        first = max(0, end + gap)
        blocks += list(track.push(Sound(first / 48_000, tone(index, size))))
        truth[max(first, end) : max(first + size, end)] = index
        end = max(end, first + size)
    blocks += list(track.silence(1.0))
    np.testing.assert_array_equal(joined(blocks), truth[: len(joined(blocks))])
    assert len(joined(blocks)) >= 48_000 - BLOCK


def test_speech_is_mixed_in_at_its_sample_and_clipped() -> None:
    speech = Speech(at=0.0101, samples=tone(1_000, 2_000))
    track = Soundtrack([speech])
    mixed = joined(list(track.push(Sound(0.0, tone(500, 4_800)))))
    first = round(0.0101 * 48_000)
    assert set(mixed[:first]) == {500}
    assert set(mixed[first : first + 2_000]) == {1_500}
    assert set(mixed[first + 2_000 :]) == {500}
    loud = Soundtrack([Speech(0.0, tone(30_000, BLOCK))])
    assert set(joined(list(loud.push(Sound(0.0, tone(30_000, BLOCK)))))) == {32_767}


def test_where_a_listener_hears_the_speech_end() -> None:
    samples = np.concatenate([tone(0, 480), tone(9_000, 4_800), tone(20, 4_800)])
    speech = Speech(2.0, samples)
    assert speech.voiced_end == 2.0 + 5_280 / 48_000
    assert speech.end == 2.0 + 10_080 / 48_000
    assert Speech(2.0, tone(0, 100)).voiced_end == 2.0
