"""Looking at sessions, asking them, and subscribing to them."""

import json
from typing import Any

import pytest
from starlette.testclient import WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from stream_service.errors import Conflict, EngineUnavailable, InvalidInput, OmniDropError, ServerFull
from tests.stream_service.api.conftest import Serve, Service
from tests.stream_service.fakes import sound


def watched(service: Service, path: str = "/whip/door") -> str:
    """A session that has seen 2 s."""
    id = service.publish(path)
    service.sources.sinks[id].on_audio(sound(0.0, 2.0))
    service.route()
    return id


def read(socket: WebSocketTestSession, count: int) -> list[dict[str, Any]]:
    return [json.loads(socket.receive_text()) for _ in range(count)]


def test_a_question_is_accepted_and_answered_in_events(service: Service) -> None:
    id = watched(service)
    answer = service.client.post("/v1/sessions/door/questions", json={"text": "What is this?"})
    assert answer.status_code == 202
    question = answer.json()["question"]
    assert answer.json() == {"question": question, "session": id, "at": 2.0}
    service.route()
    with service.subscribe(f"/v1/sessions/{id}/answers") as socket:
        events = read(socket, 7)
    assert [event["seq"] for event in events] == list(range(1, 8))
    assert [event["type"] for event in events] == [
        "session.started",
        "window.fused",
        "question.accepted",
        "answer.started",
        "answer.delta",
        "answer.delta",
        "answer.done",
    ]
    assert events[-1]["text"] == "a red circle."
    assert {event["session"] for event in events} == {id}
    assert events[-1]["question"] == question


def test_a_subscriber_resumes_after_what_it_has_seen_and_hears_the_end(service: Service) -> None:
    id = watched(service)
    with service.subscribe("/v1/sessions/door/answers?after=1") as socket:
        assert read(socket, 1)[0]["type"] == "window.fused"
        service.client.post("/v1/sessions/door/questions", json={"text": "What is this?"})
        assert read(socket, 1)[0]["seq"] == 3
        assert service.client.delete("/v1/sessions/door").status_code == 204
        cancelled, closed = read(socket, 2)
        assert (cancelled["type"], cancelled["reason"]) == ("answer.cancelled", "session closed")
        assert (closed["type"], closed["seq"], closed["reason"]) == ("session.closed", 5, "closed by a client")
        with pytest.raises(WebSocketDisconnect) as over:
            socket.receive_text()
        assert over.value.code == 1000
    with service.subscribe(f"/v1/sessions/{id}/answers?after=4") as late:
        assert read(late, 1) == [closed], "a closed session can still be read to its end"


@pytest.mark.parametrize(
    ("path", "code", "close"),
    [
        ("/v1/sessions/nobody/answers", "not_found", 4404),
        ("/v1/sessions/door/answers?after=99", "events_ahead", 4409),
        ("/v1/sessions/door/answers?after=0", "events_trimmed", 4410),
    ],
)
def test_a_subscription_that_cannot_be_says_why(serve: Serve, path: str, code: str, close: int) -> None:
    service = serve(history=2)
    id = watched(service)
    service.sources.sinks[id].on_audio(sound(2.0, 2.0))
    service.sources.sinks[id].on_audio(sound(4.0, 2.0))
    service.route()
    with service.subscribe(path) as socket:
        (error,) = read(socket, 1)
        assert (error["type"], error["seq"], error["code"]) == ("error", 0, code)
        assert error["remedy"]
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
        assert closed.value.code == close
    if code == "events_trimmed":
        assert (error["resume_after"], "after=2" in error["remedy"]) == (2, True)


def test_subscribers_leave_without_trace_and_may_say_anything(service: Service) -> None:
    watched(service)
    with service.subscribe("/v1/sessions/door/answers") as socket:
        read(socket, 2)
        socket.send_text("hello")
        assert service.client.get("/v1/sessions/door").json()["subscribers"] == 1
    assert service.client.get("/v1/sessions/door").json()["subscribers"] == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [("", "empty"), ("  ", "empty"), ("why " * 2_500, "9,999 characters"), ("why " * 129, "515 tokens")],
    ids=["empty", "blank", "long", "long for the model"],
)
def test_a_question_of_the_wrong_length(service: Service, text: str, told: str) -> None:
    watched(service)
    answer = service.client.post("/v1/sessions/door/questions", json={"text": text})
    assert answer.status_code == 400
    problem = answer.json()
    assert (problem["code"], problem["field"]) == ("invalid_question", "text")
    assert told in problem["detail"]
    assert problem["remedy"]


@pytest.mark.parametrize("body", ['{"text": 7}', '{"txt": "What?"}', "{", '"What?"', ""])
def test_a_body_that_is_no_question_names_what_is_wrong(service: Service, body: str) -> None:
    watched(service)
    answer = service.client.post(
        "/v1/sessions/door/questions", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_input"
    assert answer.json()["field"]


def test_a_question_before_the_first_window_says_when_to_ask(service: Service) -> None:
    service.publish("/whip/door")
    answer = service.client.post("/v1/sessions/door/questions", json={"text": "What is this?"})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert answer.headers["retry-after"] == "2"


def test_a_question_can_be_cancelled_once(service: Service) -> None:
    watched(service)
    service.engine.prompt = False
    question = service.client.post("/v1/sessions/door/questions", json={"text": "What is this?"}).json()["question"]
    assert service.client.delete(f"/v1/sessions/door/questions/{question}").status_code == 202
    service.route()
    assert service.client.delete(f"/v1/sessions/door/questions/{question}").status_code == 404


def test_talking_is_chosen_and_keyed(service: Service) -> None:
    watched(service)
    talk = "/v1/sessions/door/talk"
    assert service.client.post(talk, json={"action": "press"}).status_code == 409
    assert service.client.put(talk, json={"mode": "push_to_talk"}).json() == {"mode": "push_to_talk"}
    assert service.client.post(talk, json={"action": "press"}).status_code == 202
    assert service.client.post(talk, json={"action": "release"}).status_code == 202
    assert service.client.put(talk, json={"mode": "shout"}).status_code == 400
    assert service.listener.calls == ["hands_free", "push_to_talk", "press", "release"]


def test_sessions_are_listed_and_shown(service: Service) -> None:
    id = watched(service)
    view = service.client.get(f"/v1/sessions/{id}").json()
    assert service.client.get("/v1/sessions").json() == {"sessions": [view]}
    assert view == {
        "session": id,
        "name": "door",
        "state": "live",
        "talk": "hands_free",
        "barge_in": "interrupt",
        "budget": 512,
        "session_bytes": 1024,
        "at": 2.0,
        "seq": 2,
        "windows": 1,
        "windows_in_flight": 0,
        "questions": [],
        "subscribers": 0,
        "source": {"frames": 60.0},
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/sessions/nobody"),
        ("DELETE", "/v1/sessions/nobody"),
        ("PATCH", "/v1/sessions/nobody"),
        ("POST", "/v1/sessions/nobody/questions"),
        ("PUT", "/v1/sessions/nobody/talk"),
    ],
)
def test_an_unknown_session_is_a_problem(service: Service, method: str, path: str) -> None:
    answer = service.client.request(
        method,
        path,
        json={"questions": {"text": "What?"}, "talk": {"mode": "off"}, "nobody": {"budget": 256}}[
            path.rpartition("/")[2]
        ],
    )
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_session_s_budget_can_be_changed_while_it_runs(service: Service) -> None:
    id = watched(service, "/whip/door?budget=300")
    answer = service.client.patch("/v1/sessions/door", json={"budget": 256})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"budget": 256, "session_bytes": 512, "store_tokens": 256, "coverage": 0.75}
    service.route()
    view = service.client.get(f"/v1/sessions/{id}").json()
    assert (view["budget"], view["session_bytes"]) == (256, 512)
    (report,) = service.client.get("/v1/admin/report").json()["sessions"]
    assert (report["budget"], report["session_bytes"], report["store_tokens"]) == (256, 512, 256)
    with service.subscribe("/v1/sessions/door/answers") as socket:
        started, _, changed = read(socket, 3)
    assert started["model"]["budget"] == 300
    assert {name: changed[name] for name in ("type", *answer.json())} == {"type": "session.changed"} | answer.json()


@pytest.mark.parametrize("body", [{"budget": 0}, {"budget": "many"}, {}, {"budget": 256, "deep_share": 0.1}])
def test_a_change_that_is_none_names_what_is_wrong(service: Service, body: dict[str, object]) -> None:
    watched(service)
    answer = service.client.patch("/v1/sessions/door", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert answer.json()["field"] == ("deep_share" if "deep_share" in body else "budget")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInput("too many", remedy="Ask for at most 512 tokens.", field="budget"), 400),
        (Conflict("another change", remedy="Wait.", retry_after=1), 409),
        (ServerFull("no room", remedy="Later.", retry_after=10), 503),
        (EngineUnavailable("the engine is being restarted", remedy="Later.", retry_after=6), 503),
    ],
)
def test_a_change_that_the_engine_refuses_changes_nothing(service: Service, error: OmniDropError, status: int) -> None:
    watched(service)
    service.engine.refuse = error
    answer = service.client.patch("/v1/sessions/door", json={"budget": 400})
    assert (answer.status_code, answer.json()["code"], answer.json()["remedy"]) == (status, error.code, error.remedy)
    assert answer.json().get("field") == error.field
    assert ("retry-after" in answer.headers) is (error.retry_after is not None)
    service.route()
    assert service.client.get("/v1/sessions/door").json()["budget"] == 512


def test_info_tells_the_page_what_it_needs(service: Service) -> None:
    info = service.client.get("/v1/info").json()
    assert info["model"]["frame_size"] == [168, 168]
    assert info["limits"] == {
        "question_chars": 1000,
        "question_tokens": 512,
        "sdp_bytes": 2000,
        "sessions": 8,
        "grace_s": 30.0,
    }
    assert (info["speech"], info["fit"]) == (True, "letterbox")
    assert info["ice_servers"][0] == {"urls": ["stun:stun.example.org"]}
