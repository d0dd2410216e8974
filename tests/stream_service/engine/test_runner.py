"""What the runner tells the encoders of a window, and what it tells of one that was fused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pruner import FuseReport, Tokens
from stream_service.engine.degradation import Step
from stream_service.engine.runner import fused, raw_window
from stream_service.engine.work import WindowWork
from stream_service.types import SAMPLE_RATE, AudioChunk, StoreEvicted, WindowFused
from stream_service.windows import Windower, WindowSettings
from tests.stream_service.engine.builders import window
from tests.stream_service.engine.fakes import FakeEncoded


@pytest.mark.parametrize(("cut", "padding"), [(2.0, 0), (1.3, 11_200), (0.25, 12_000)])
def test_the_encoders_know_what_of_a_window_is_no_sound(cut: float, padding: int) -> None:
    """A question ends a window anywhere and silence completes its second; the next one goes on at the cut."""
    windower = Windower("a", WindowSettings())
    windower.tracks(video=False, audio=True)
    heard = np.arange(1, 4 * SAMPLE_RATE + 1, dtype=np.float32)
    first = [*windower.push_audio(AudioChunk(0.0, heard[: round(cut * SAMPLE_RATE)])), *windower.cut(cut)]
    rest = windower.push_audio(AudioChunk(cut, heard[round(cut * SAMPLE_RATE) :]))
    raws = [raw_window(WindowWork(one, arrived=0.0), Step.NONE) for one in (*first, *rest)]
    assert [raw.padding for raw in raws] == [padding] + [0] * len(rest)
    got = [raw.samples[: len(raw.samples) - raw.padding] for raw in raws if raw.samples is not None]
    np.testing.assert_array_equal(np.concatenate(got), heard[: sum(map(len, got))])
    for raw in raws:
        raw.check(2)


def test_a_window_without_sound_has_none_to_pad() -> None:
    silent = replace(window(media=True), samples=None, end=1.3)
    assert raw_window(WindowWork(silent, arrived=0.0), Step.NONE).padding == 0


def test_a_fused_window_is_told_with_what_was_shared_and_what_left() -> None:
    encoded: Any = FakeEncoded(0.0, shared=2)
    work = WindowWork(window(), arrived=1.0, encoded=encoded, encode_ms=100.0)
    report = FuseReport(Tokens(72, 50), Tokens(29, 35), 64, evicted=7, thinned_chunks=1, coverage=0.5)
    told, left = fused(work, report, 200.0, now=2.0)
    assert isinstance(told, WindowFused)
    assert (told.shared, told.kept.video, told.encode_ms, told.fuse_ms) == (2, 29, 100.0, 200.0)
    assert told.wait_ms == pytest.approx(700.0)
    assert left == StoreEvicted("a", 7, 1, 0.5)
