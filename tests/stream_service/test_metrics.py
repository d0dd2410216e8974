from __future__ import annotations

from stream_service.metrics import Metrics
from stream_service.types import EngineStats


def test_a_counter_never_falls_when_a_lost_packet_arrives_after_all() -> None:
    metrics = Metrics()
    for lost in (3, 2, 4):
        metrics.on_sources({"frames": 10, "packets_lost": lost})
    told = metrics.exposition(EngineStats(0, 0, 0, 0.0, 0))
    assert b"omnidrop_source_packets_lost_total 4.0" in told
    assert b"omnidrop_source_frames_total 10.0" in told


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
