"""What holds for every route: who may come in, how much may be sent, how errors look, and the page."""

from pathlib import Path

import pytest
from starlette.testclient import WebSocketDenialResponse

from stream_service.api.security import check_exposure, is_loopback
from stream_service.api.settings import ServerSettings
from stream_service.errors import StartupError
from tests.stream_service.api.conftest import TOKEN, Serve, Service

BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize("path", ["/v1/sessions", "/v1/info", "/metrics"])
@pytest.mark.parametrize("sent", [None, "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer ü"])
def test_without_its_token_nobody_comes_in(serve: Serve, path: str, sent: str | None) -> None:
    service = serve(tokens=[TOKEN, "another-token-of-the-operator"])
    headers = {} if sent is None else {"authorization": sent.encode()}
    answer = service.client.get(path, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorised")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert service.client.get(path, headers=BEARER).status_code == 200


def test_probes_need_no_token(serve: Serve) -> None:
    service = serve(tokens=[TOKEN])
    assert service.client.get("/healthz").json() == {"status": "ok"}
    assert service.client.get("/readyz").json()["status"] == "ready"


@pytest.mark.parametrize("why", ["stopping", "restarting"])
def test_a_server_that_cannot_serve_is_not_ready(service: Service, why: str) -> None:
    service.sessions.stopping = why == "stopping"
    service.engine.ready = why != "restarting"
    answer = service.client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "engine_unavailable")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999"])
def test_pages_of_other_origins_are_kept_out(service: Service, origin: str) -> None:
    service.publish("/whip/door")
    answer = service.client.post("/v1/sessions/door/questions", json={"text": "?"}, headers={"origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        service.subscribe("/v1/sessions/door/answers", headers={"origin": origin}),
    ):
        pass
    assert refused.value.status_code == 403


def test_its_own_page_and_programs_come_in(service: Service) -> None:
    service.publish("/whip/door")
    for headers in ({}, {"origin": "http://127.0.0.1:8080"}):
        assert service.client.get("/v1/sessions", headers=headers).status_code == 200
        with service.subscribe("/v1/sessions/door/answers", headers=headers | {"host": "127.0.0.1:8080"}):
            pass


def test_without_tokens_only_local_names_are_answered(serve: Serve) -> None:
    service = serve(allowed_hosts=["camera.lan"])
    for host, status in (
        ("rebound.example", 403),
        ("camera.lan:8080", 200),
        ("localhost:8080", 200),
        ("[::1]:8080", 200),
    ):
        assert service.client.get("/v1/sessions", headers={"host": host}).status_code == status, host
    assert serve(tokens=[TOKEN]).client.get("/v1/sessions", headers={"host": "a.example", **BEARER}).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "camera.lan"])
def test_beyond_loopback_a_token_is_needed(host: str) -> None:
    with pytest.raises(StartupError) as refused:
        check_exposure(ServerSettings(host=host))
    assert refused.value.field == "server.tokens"
    check_exposure(ServerSettings(host=host, tokens=(TOKEN,)))


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", False), ("", False)],
)
def test_what_is_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_bodies_are_bounded_whether_or_not_they_say_how_long_they_are(serve: Serve) -> None:
    service = serve(max_body_bytes=4096)

    def chunks() -> object:
        for _ in range(5):
            yield b"x" * 1000

    for content in (b"x" * 5000, chunks()):
        answer = service.client.post("/v1/sessions/door/questions", content=content)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert service.client.post("/v1/sessions/door/questions", content=b"x" * 4096).status_code == 400


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/v1/nowhere", 404), ("/whip", 405)])
def test_every_error_is_a_problem_document(service: Service, path: str, status: int) -> None:
    answer = service.client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "code", "remedy"} <= set(answer.json())


def test_a_mistake_of_ours_is_a_problem_too(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(service.sessions, "all", fail)
    service.client._transport.raise_server_exceptions = False  # type: ignore[attr-defined]
    answer = service.client.get("/v1/sessions")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text


def test_metrics_count_what_clients_were_told(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    service = serve(max_body_bytes=4096)
    service.client.get("/v1/sessions/nobody")
    service.client.get("/v1/nowhere")
    service.client.get("/whip")
    service.client.post("/v1/sessions/nobody/questions", content="{")
    service.client.post("/v1/sessions/nobody/questions", content="x" * 5000)
    with service.subscribe("/v1/sessions/nobody/answers") as socket:
        socket.receive_text()
    with pytest.raises(WebSocketDenialResponse), service.subscribe("/v1/sessions/a/answers", {"origin": "null"}):
        pass
    monkeypatch.setattr(service.sessions, "get", None)  # a mistake of ours
    service.client._transport.raise_server_exceptions = False  # type: ignore[attr-defined]
    service.client.get("/v1/sessions/nobody")
    lines = service.client.get("/metrics").text.splitlines()
    told = [line for line in lines if line.startswith("omnidrop_errors_total{")]
    assert {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in told} == {
        "not_found": 3,
        "method_not_allowed": 1,
        "invalid_input": 1,
        "too_large": 1,
        "forbidden": 1,
        "internal": 1,
    }
    assert 'omnidrop_sessions{state="live"} 0.0' in lines


def test_the_page_is_served_with_the_right_types_and_fresh(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "js").mkdir()
    (tmp_path / "js" / "main.js").write_text("export {}")
    service = serve(page=tmp_path)
    page = service.client.get("/")
    assert page.text == "<!doctype html>"
    assert "default-src 'self'" in page.headers["content-security-policy"]
    module = service.client.get("/js/main.js")
    assert module.headers["content-type"].startswith("text/javascript")
    assert module.headers["cache-control"] == "no-cache"
    again = service.client.get("/js/main.js", headers={"if-none-match": module.headers["etag"]})
    assert again.status_code == 304
    for path in ("/js/other.js", "/../pyproject.toml", "/%2e%2e/pyproject.toml"):
        missing = service.client.get(path)
        assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


def test_the_routes_are_described(service: Service) -> None:
    document = service.client.get("/openapi.json").json()
    assert {"/whip", "/whip/{name}", "/v1/sessions/{session}/questions", "/v1/info", "/metrics"} <= set(
        document["paths"]
    )


def test_the_events_are_described_by_their_own_classes(service: Service) -> None:
    document = service.client.get("/asyncapi.json").json()
    kinds = set(document["components"]["messages"]) - {"question", "refusal", "status"}
    assert {"session.started", "window.fused", "answer.done", "error"} <= kinds
    assert set(document["channels"]["answers"]["messages"]) == kinds
