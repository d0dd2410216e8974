"""Who may do what: every route and socket of the application, with every kind of token, ticket and origin."""

import logging
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.testclient import WebSocketDenialResponse

from stream_service.api import guard
from stream_service.api.tickets import LIFE_S, Tickets
from stream_service.api.tokens import AccessToken, Client, Keyring, Scope, digest_of, fresh, read_file
from stream_service.errors import Busy, StartupError
from tests.stream_service.api.conftest import TOKEN, Serve, Service
from tests.stream_service.fakes import Clock

OTHER = "another-token-of-the-operator"
SCOPED = {scope: f"a-token-that-may-{scope.value}" for scope in Scope}
WITH_SCOPES = [{"token": token, "scopes": [scope.value], "name": scope.value} for scope, token in SCOPED.items()]


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def guarded(service: Service) -> list[tuple[str, str, Scope | None]]:
    """Method, path and scope of every guarded operation; sockets have the method WS."""
    app = service.client.app
    assert isinstance(app, FastAPI)
    found = []
    for route, scope in guard.scopes(app):
        path = route.path.format(name="door", session="door", question="q", seq="1")
        methods = {"WS"} if isinstance(route, APIWebSocketRoute) else route.methods or set()
        found += [(method, path, scope) for method in methods]
    return found


def status(service: Service, method: str, path: str, headers: dict[str, str]) -> int:
    if method != "WS":
        return service.client.request(method, path, headers=headers).status_code
    try:
        with service.subscribe(path, headers=headers):
            return 101
    except WebSocketDenialResponse as refused:
        return refused.status_code


def test_no_route_of_the_application_is_open_by_oversight(serve: Serve) -> None:
    service = serve(tokens=WITH_SCOPES)
    operations = guarded(service)
    app = service.client.app
    assert isinstance(app, FastAPI)
    every = {route.path for route in app.routes if isinstance(route, APIRoute | APIWebSocketRoute)}
    assert every >= {"/whip", "/metrics", "/v1/tickets", "/v1/sessions/{session}/answers", *guard.OPEN_TO_ALL}
    assert len({path for _, path, _ in operations}) == len(
        {path.replace("{name}", "{session}") for path in every - guard.OPEN_TO_ALL}
    )
    for method, path, scope in operations:
        assert status(service, method, path, {}) == 401, (method, path)
        assert status(service, method, path, bearer("wrong-token-wrong-token")) == 401, (method, path)
        for held, token in SCOPED.items():
            refused = status(service, method, path, bearer(token)) == 403
            assert refused is (scope not in (None, held) and held is not Scope.ADMIN), (method, path, held)


@pytest.mark.parametrize("body", ["{", "[]", '{"text": 3}', '{"session": null}', "\x00"])
def test_a_stranger_learns_nothing_about_his_body(serve: Serve, body: str) -> None:
    service = serve(tokens=WITH_SCOPES)
    taking = [one for one in guarded(service) if one[0] in ("POST", "PUT", "PATCH")]
    assert len({path for _, path, _ in taking}) >= 5
    for method, path, scope in taking:
        for headers, expected in (({}, 401), (bearer(SCOPED[Scope.SUBSCRIBE]), 403)):
            if expected == 403 and scope is Scope.SUBSCRIBE:
                continue
            told = headers | {"content-type": "application/json"}
            assert service.client.request(method, path, content=body, headers=told).status_code == expected, path


def test_a_route_that_says_no_scope_does_not_start() -> None:
    app = FastAPI(docs_url=None, redoc_url=None)
    app.add_api_route("/v1/forgotten", lambda: None)
    with pytest.raises(RuntimeError, match="/v1/forgotten"):
        guard.scopes(app)


def test_a_route_that_would_read_before_it_asks_who_sends_does_not_start() -> None:
    app = FastAPI(docs_url=None, redoc_url=None)
    app.add_api_route("/v1/eager", lambda: None, dependencies=[guard.needs(Scope.ASK)])
    with pytest.raises(RuntimeError, match="GuardedRoute"):
        guard.scopes(app)


def test_routes_that_cannot_be_seen_do_not_start() -> None:
    app, inner = FastAPI(docs_url=None, redoc_url=None), APIRouter()
    inner.add_api_route("/v1/hidden", lambda: None)
    app.include_router(inner)
    with pytest.raises(RuntimeError):
        guard.scopes(app)


def test_every_operation_says_in_the_api_document_what_it_needs(service: Service) -> None:
    document = service.client.get("/openapi.json").json()
    assert document["paths"]["/metrics"]["get"]["security"] == [{"token": ["admin"]}]
    assert document["paths"]["/v1/info"]["get"]["security"] == [{"token": []}]
    assert "security" not in document["paths"]["/healthz"]["get"]


def test_no_socket_or_route_serves_a_page_of_another_origin(serve: Serve) -> None:
    for service in (serve(), serve(tokens=[TOKEN])):
        for method, path, _ in guarded(service):
            headers = bearer(TOKEN) | {"origin": "https://evil.example"}
            assert status(service, method, path, headers) == 403, (method, path)


# Tickets -------------------------------------------------------------------------------------------------------------


def ticket(service: Service, session: str = "door") -> str:
    answer = service.client.post("/v1/tickets", json={"session": session}, headers=bearer(TOKEN))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["ticket"])


def test_a_ticket_opens_one_socket_once(serve: Serve) -> None:
    service = serve(tokens=[TOKEN])
    path = f"/v1/sessions/door/answers?ticket={ticket(service)}"
    with service.subscribe(path) as socket:
        assert '"not_found"' in socket.receive_text()
    assert status(service, "WS", path, {}) == 401


def test_a_ticket_is_for_one_session_a_short_time_and_no_other_route(serve: Serve) -> None:
    service = serve(tokens=[TOKEN])
    assert status(service, "WS", f"/v1/sessions/garden/answers?ticket={ticket(service)}", {}) == 401
    late = ticket(service)
    service.clock.now += LIFE_S
    assert status(service, "WS", f"/v1/sessions/door/answers?ticket={late}", {}) == 401
    assert service.client.get(f"/v1/sessions?ticket={ticket(service)}").status_code == 401
    assert status(service, "WS", f"/v1/sessions/door/answers?access_token={TOKEN}", {}) == 401


def test_a_ticket_does_not_open_to_another_origin(serve: Serve) -> None:
    service = serve(tokens=[TOKEN])
    path = f"/v1/sessions/door/answers?ticket={ticket(service)}"
    assert status(service, "WS", path, {"origin": "https://evil.example"}) == 403


def test_unused_tickets_are_bounded_and_forgotten() -> None:
    clock = Clock()
    tickets, one, other = Tickets(clock), Client("one", frozenset()), Client("other", frozenset())
    kept = [tickets.issue(one, "door") for _ in range(64)]
    with pytest.raises(Busy):
        tickets.issue(one, "door")
    assert tickets.redeem(tickets.issue(other, "door"), "door") == other
    clock.now += LIFE_S
    assert tickets.redeem(tickets.issue(one, "door"), "door") == one
    assert all(tickets.redeem(ticket, "door") is None for ticket in kept)


# Limits --------------------------------------------------------------------------------------------------------------


def test_a_client_has_its_share_of_sessions_and_not_that_of_others(serve: Serve) -> None:
    service = serve(tokens=[TOKEN, OTHER], client_sessions=2)
    sdp = {"content-type": "application/sdp"}

    def publish(token: str, path: str = "/whip") -> int:
        return service.client.post(path, content="v=0", headers=bearer(token) | sdp).status_code

    assert [publish(TOKEN), publish(TOKEN, "/whip/door"), publish(TOKEN)] == [201, 201, 429]
    assert publish(OTHER) == 201
    id = service.sessions.get("door").id
    assert publish(TOKEN, f"/whip/{id}") == 201, "coming back opens no session"
    assert service.client.delete(f"/whip/{id}", headers=bearer(TOKEN)).status_code == 200
    assert publish(TOKEN) == 201


def test_a_refused_offer_does_not_count(serve: Serve) -> None:
    service = serve(client_sessions=1)
    service.sources.refuse = Busy("No.", remedy="Later.")
    for _ in range(3):
        service.client.post("/whip", content="v=0", headers={"content-type": "application/sdp"})
    service.sources.refuse = None
    service.publish()


def test_a_client_asks_so_many_questions_a_minute(serve: Serve) -> None:
    service = serve(client_questions_per_minute=2)

    def ask() -> tuple[int, str | None]:
        answer = service.client.post("/v1/sessions/nobody/questions", json={"text": "What?"})
        return answer.status_code, answer.headers.get("retry-after")

    assert [ask(), ask(), ask()] == [(404, None), (404, None), (429, "60")]
    service.clock.now += 59.5
    assert ask() == (429, "1")
    service.clock.now += 0.5
    assert ask()[0] == 404


def test_a_client_has_so_many_sockets_open_at_once(serve: Serve) -> None:
    service = serve(tokens=[TOKEN, OTHER], client_sockets=1)
    service.client.post("/whip/door", content="v=0", headers=bearer(TOKEN) | {"content-type": "application/sdp"})
    path = "/v1/sessions/door/answers"
    with service.subscribe(path, headers=bearer(TOKEN)):
        assert status(service, "WS", path, bearer(TOKEN)) == 429
        assert status(service, "WS", path, bearer(OTHER)) == 101
    assert status(service, "WS", path, bearer(TOKEN)) == 101


def test_only_its_publisher_or_an_administrator_touches_a_source(serve: Serve) -> None:
    service = serve(tokens=[*WITH_SCOPES, {"token": TOKEN, "scopes": ["publish"], "name": "camera"}])
    sdp = {"content-type": "application/sdp"}
    service.client.post("/whip/door", content="v=0", headers=bearer(TOKEN) | sdp)
    fragment = {"content-type": "application/trickle-ice-sdpfrag"}
    for token, expected in ((SCOPED[Scope.PUBLISH], 403), (TOKEN, 204)):
        answer = service.client.patch("/whip/door", content="a=x", headers=bearer(token) | fragment)
        assert answer.status_code == expected
    assert service.client.delete("/whip/door", headers=bearer(SCOPED[Scope.PUBLISH])).status_code == 403
    assert service.client.delete("/whip/door", headers=bearer(SCOPED[Scope.ADMIN])).status_code == 200


# Tokens --------------------------------------------------------------------------------------------------------------


def test_only_digests_of_tokens_are_kept() -> None:
    token = AccessToken.model_validate(TOKEN)
    assert TOKEN not in repr(token) + token.model_dump_json()
    assert AccessToken.model_validate(f"sha256:{digest_of(TOKEN)}") == token
    assert token.client.may(Scope.ADMIN)
    assert digest_of(TOKEN) not in repr(token.client)


def test_a_keyring_knows_its_tokens_only() -> None:
    keys = Keyring(AccessToken.model_validate(one) for one in WITH_SCOPES)
    assert keys.recognise(SCOPED[Scope.ASK]) == Client("ask", frozenset({Scope.ASK}))
    assert keys.recognise(digest_of(SCOPED[Scope.ASK])) is None
    assert keys.recognise("") is None
    assert keys.recognise(fresh()) is None


def test_tokens_come_from_a_file_too(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"# the door\nsha256:{digest_of(TOKEN)}  publish,ask  front-door\n\n{OTHER} # everything\n")
    assert [token.client.name for token in read_file(path)] == ["front-door", f"token-{digest_of(OTHER)[:8]}"]
    service = serve(tokens_file=str(path))
    assert service.client.get("/v1/info", headers=bearer(TOKEN)).status_code == 200
    assert service.client.get("/v1/sessions", headers=bearer(TOKEN)).status_code == 403
    assert service.client.get("/v1/sessions", headers=bearer(OTHER)).status_code == 200
    assert service.client.get("/v1/sessions").status_code == 401


@pytest.mark.parametrize(
    "line", ["short-secret", f"{OTHER} shout", f"{OTHER} ask na/me", f"{OTHER} ask name more", "sha256:12"]
)
def test_a_bad_line_is_named_without_its_secret(tmp_path: Path, line: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"\n{line}\n")
    with pytest.raises(StartupError, match="line 2") as refused:
        read_file(path)
    assert line.split()[0] not in str(refused.value)
    assert refused.value.field == "server.tokens_file"


def test_a_file_that_guards_nothing_stops_the_start(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("# nobody\n")
    for name in ("empty", "missing"):
        with pytest.raises(StartupError) as refused:
            serve(tokens_file=str(tmp_path / name))
        assert refused.value.field == "server.tokens_file"


def test_no_secret_reaches_a_log_line(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    service = serve(tokens=[TOKEN])
    secrets = [TOKEN, "a-wrong-token-of-someone", ticket(service), ticket(service)]
    for token in secrets[:2]:
        for method, path, _ in guarded(service):
            status(service, method, path, bearer(token))
    for opened in (f"ticket={secrets[2]}", f"ticket={secrets[3]}", f"access_token={TOKEN}"):
        status(service, "WS", f"/v1/sessions/door/answers?{opened}", {})
    told = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("httpx"))
    assert [secret for secret in secrets if secret in told] == []
