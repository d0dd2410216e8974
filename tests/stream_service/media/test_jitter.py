"""The jitter estimate knows a late packet from a wrap, a retransmission, a probe or a pause."""

from __future__ import annotations

import pytest

from stream_service.media.jitter import Jitter

RATE = 90_000


def test_steady_packets_have_none_and_uneven_ones_some() -> None:
    steady, uneven = Jitter(RATE), Jitter(RATE)
    for n in range(300):
        steady.add(n * 3_000, n / 30)
        uneven.add(n * 3_000, n / 30 + (0.010 if n % 2 else 0.0))
    assert steady.seconds == pytest.approx(0, abs=1e-9)
    assert uneven.seconds == pytest.approx(0.010, rel=0.01)


def test_a_wrap_a_retransmission_a_probe_and_a_pause_leave_no_trace() -> None:
    jitter = Jitter(RATE)
    start = (1 << 32) - 30_000
    for n in range(60):
        now = n / 30 + (40.0 if n >= 50 else 0.0)
        shift = 40 * RATE if n >= 50 else 0
        jitter.add((start + n * 3_000 + shift) % (1 << 32), now)
        if n == 20:
            jitter.add(start + 3_000, now)
        if n == 30:
            jitter.add(1_234_567_890, now)
    assert jitter.seconds < 0.001


def test_packets_of_one_frame_count_once() -> None:
    jitter = Jitter(RATE)
    for n in range(100):
        for part in range(3):
            jitter.add(n * 3_000, n / 30 + part * 0.005)
    assert jitter.seconds == pytest.approx(0, abs=1e-9)
