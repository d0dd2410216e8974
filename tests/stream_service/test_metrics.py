from __future__ import annotations

import re

from stream_service.metrics import Metrics
from stream_service.types import AnswerCancelled, CancelReason, EngineFault, EngineStats, ModalityCounts, WindowFused


def test_a_counter_never_falls_when_a_lost_packet_arrives_after_all() -> None:
    metrics = Metrics()
    for lost in (3, 2, 4):
        metrics.on_sources({"frames": 10, "packets_lost": lost})
    told = metrics.exposition(EngineStats(0, 0, 0, 0.0, 0))
    assert b"omnidrop_source_packets_lost_total 4.0" in told
    assert b"omnidrop_source_frames_total 10.0" in told


def test_every_question_that_ended_is_counted_by_how() -> None:
    metrics = Metrics()
    metrics.on_engine(AnswerCancelled("s", "q1", CancelReason.TIMEOUT))
    metrics.on_engine(EngineFault("s", "busy", "No.", "Wait.", "q2"))
    metrics.on_engine(EngineFault("s", "internal", "No.", "Wait."))
    told = metrics.exposition(EngineStats(0, 0, 0, 0.0, 0)).decode()
    assert re.findall(r'omnidrop_answers_total\{outcome="(\w+)"\} ([\d.]+)', told) == [
        ("timeout", "1.0"),
        ("error", "1.0"),
    ]


def test_a_window_is_counted_with_what_it_waited() -> None:
    metrics, tokens, kept = Metrics(), ModalityCounts(72, 50), ModalityCounts(30, 40)
    metrics.on_engine(WindowFused("s", 0, 0.0, 2.0, tokens, kept, 12.0, 8.0, 70, 0.5, wait_ms=1500.0, shared=2))
    told = metrics.exposition(EngineStats(0, 0, 0, 0.0, 0)).decode().splitlines()
    assert {
        line for line in told if re.match(r"omnidrop_(\w+_seconds_(sum|total)|coverage_sum|tokens_\w+_total)", line)
    } >= {
        "omnidrop_window_wait_seconds_sum 1.5",
        "omnidrop_encode_seconds_sum 0.012",
        "omnidrop_fuse_seconds_sum 0.008",
        "omnidrop_coverage_sum 0.5",
        'omnidrop_tokens_seen_total{modality="video"} 72.0',
        'omnidrop_tokens_kept_total{modality="audio"} 40.0',
        "omnidrop_still_seconds_total 2.0",
    }


def test_the_engines_load_is_told_as_it_last_said() -> None:
    metrics = Metrics()
    metrics.exposition(EngineStats(1, 9, 9, 9.0, 9, degradation="frames"))
    told = metrics.exposition(EngineStats(2, 3, 1, 1.5, 7_000_000, degradation="windows")).decode().splitlines()
    assert set(told) >= {
        "omnidrop_windows_queued 3.0",
        "omnidrop_answers_running 1.0",
        "omnidrop_oldest_window_age_seconds 1.5",
        "omnidrop_engine_resident_bytes 7e+06",
        'omnidrop_degradation{step="windows"} 1.0',
    }
    assert 'omnidrop_degradation{step="frames"} 1.0' not in told


def test_the_metrics_tell_whether_the_log_and_the_broker_are_there() -> None:
    metrics, failing, connected = Metrics(), [True], [False]
    metrics.watch_log(lambda: failing[0])
    metrics.watch_broker(lambda: connected[0])
    stats = EngineStats(0, 0, 0, 0.0, 0)
    assert b"omnidrop_log_failing 1.0" in metrics.exposition(stats)
    assert b"omnidrop_mqtt_connected 0.0" in metrics.exposition(stats)
    failing[0], connected[0] = False, True
    assert b"omnidrop_log_failing 0.0" in metrics.exposition(stats)
    assert b"omnidrop_mqtt_connected 1.0" in metrics.exposition(stats)
