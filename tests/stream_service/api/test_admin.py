"""What an administrator sees, and what Prometheus counts."""

from stream_service.types import Overloaded, SpeechDropped
from tests.stream_service.api.conftest import Service
from tests.stream_service.fakes import sound


def lived(service: Service) -> str:
    """A session that saw 4 s, of which 2 s are fused, answered, lost its source and got it back."""
    id = service.publish("/whip/door?budget=256")
    sink = service.sources.sinks[id]
    sink.on_audio(sound(0.0, 2.0))
    service.client.post("/v1/sessions/door/questions", json={"text": "What is this?"})
    service.route()
    sink.on_lost("the phone is gone")
    sink.on_back()
    sink.on_audio(sound(2.0, 1.5))
    return id


def test_an_administrator_sees_every_session_in_figures(service: Service) -> None:
    id = lived(service)
    service.publish()
    answer = service.client.get("/v1/admin/report").json()
    assert answer["degradation"] == "none"
    first, second = answer["sessions"]
    assert {key: first[key] for key in ("session", "name", "owner", "state", "at", "lag", "budget")} == {
        "session": id,
        "name": "door",
        "owner": "local",
        "state": "live",
        "at": 3.5,
        "lag": 1.5,
        "budget": 256,
    }
    assert (first["question"], first["answer"], first["reconnects"]) == ("What is this?", "a red circle.", 1)
    assert (first["store_tokens"], first["coverage"], first["open_questions"]) == (122, 1.0, 0)
    assert first["ttft_ms"] is not None
    assert (second["name"], second["question"], second["budget"]) == (None, None, 512)


def metrics(service: Service) -> dict[str, float]:
    lines = service.client.get("/metrics").text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def test_what_happened_is_counted_once(service: Service) -> None:
    lived(service)
    seen = metrics(service)
    assert seen['omnidrop_questions_total{source="http"}'] == 1
    assert seen["omnidrop_ttft_seconds_count"] == 1
    assert seen["omnidrop_sources_lost_total"] == 1
    assert seen["omnidrop_reconnects_total"] == 1
    assert seen['omnidrop_sessions{state="live"}'] == 1
    assert seen['omnidrop_sessions{state="lost"}'] == 0
    assert (seen["omnidrop_source_frames_total"], seen["omnidrop_source_dropped_total"]) == (60, 2)
    assert metrics(service)["omnidrop_source_frames_total"] == 60, "scraping again receives no frames"


def test_what_is_changes_both_ways(service: Service) -> None:
    id = lived(service)
    with service.subscribe(f"/v1/sessions/{id}/answers") as socket:
        socket.receive_text()
        assert metrics(service)["omnidrop_subscribers"] == 1
        assert metrics(service)["omnidrop_gateway_tasks"] >= 1
    service.client.delete("/v1/sessions/door")
    seen = metrics(service)
    assert (seen["omnidrop_subscribers"], seen['omnidrop_sessions{state="live"}']) == (0, 0)
    assert (seen["omnidrop_source_frames_total"], seen["omnidrop_source_dropped_total"]) == (60, 2)


def test_speech_and_trouble_are_counted(service: Service) -> None:
    id = service.publish()
    service.listener.next = [SpeechDropped(1.0, "too long")]
    service.sources.sinks[id].on_audio(sound(0.0, 1.0))
    service.gateway.metrics.on_engine(Overloaded(id, "frames", 0, 3))
    service.sessions.get(id).fail()
    seen = metrics(service)
    assert seen['omnidrop_utterances_total{outcome="dropped"}'] == 1
    assert seen["omnidrop_frames_dropped_total"] == 3
    assert seen['omnidrop_errors_total{code="internal"}'] == 1
