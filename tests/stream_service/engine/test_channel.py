"""Framing between the processes."""

from __future__ import annotations

import socket

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_service.engine.channel import Channel, Decoder, encode
from stream_service.engine.messages import Cancel, ErrorFacts, Feed, Stop
from stream_service.errors import ServerFull
from stream_service.types import CancelReason, Window
from tests.stream_service.engine.builders import window


def stream(*messages: object) -> bytes:
    return b"".join(bytes(part) for message in messages for part in encode(message))


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=30))
def test_any_cut_of_the_bytes_gives_the_same_messages(cuts: list[int]) -> None:
    data = stream(Stop(1.0), Feed(window(media=True)), Cancel("a", "q", CancelReason.BARGE_IN))
    decoder, messages, rest = Decoder(), [], data
    for cut in cuts:
        messages += decoder.push(rest[:cut])
        rest = rest[cut:]
    messages += decoder.push(rest)
    stop, feed, cancel = messages
    assert stop == Stop(1.0)
    assert cancel == Cancel("a", "q", CancelReason.BARGE_IN)
    expected = window(media=True).frames
    assert expected is not None
    assert np.array_equal(feed.window.frames, expected)


def test_arrays_travel_out_of_band_and_arrive_writable() -> None:
    frames = np.arange(4 * 8 * 8 * 3, dtype=np.uint8).reshape(4, 8, 8, 3)
    samples = np.linspace(-1, 1, 32_000, dtype=np.float32)
    parts = encode(Feed(Window("a", 0, 0.0, 2.0, frames, samples)))
    assert [len(part) for part in parts[2:]] == [frames.nbytes, samples.nbytes]
    assert len(parts[1]) < 2000
    (feed,) = Decoder().push(b"".join(bytes(part) for part in parts))
    assert np.array_equal(feed.window.frames, frames)
    assert np.array_equal(feed.window.samples, samples)
    feed.window.samples[0] = 0.5


def test_empty_and_strided_arrays() -> None:
    strided = np.arange(64, dtype=np.float32)[::2]
    (feed,) = Decoder().push(stream(Feed(Window("a", 0, 0.0, 2.0, np.zeros((0, 8, 8, 3), np.uint8), strided))))
    assert feed.window.frames.shape == (0, 8, 8, 3)
    assert np.array_equal(feed.window.samples, strided)


def test_errors_survive_the_way() -> None:
    facts = ErrorFacts.of(ServerFull("full", remedy="wait", retry_after=3.0))
    error = facts.error()
    assert isinstance(error, ServerFull)
    assert (error.message, error.remedy, error.field, error.retry_after) == ("full", "wait", None, 3.0)


def test_the_engines_end_does_not_wait_once_it_has_something() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = Channel(theirs)
        assert list(channel.receive(0.0)) == []
        ours.sendall(stream(Stop(1.0), Stop(2.0)))
        assert list(channel.receive(60.0)) == [Stop(1.0), Stop(2.0)]
        ours.close()
        with pytest.raises(EOFError):
            list(channel.receive(60.0))
