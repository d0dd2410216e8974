from __future__ import annotations

from stream_service.metrics import Metrics
from stream_service.types import EngineStats


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
