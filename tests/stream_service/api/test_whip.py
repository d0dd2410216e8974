"""RFC 9725, to the letter of its responses."""

import pytest

from stream_service.errors import (
    InvalidSdp,
    PreconditionFailed,
    PreconditionRequired,
    ServerFull,
    UnsupportedMedia,
)
from stream_service.types import SessionSettings, TalkMode, Trickled
from tests.stream_service.api.conftest import Serve, Service

SDP = {"content-type": "application/sdp"}
FRAGMENT = {"content-type": "application/trickle-ice-sdpfrag"}


def test_publishing_answers_201_with_location_tag_and_ice_servers(service: Service) -> None:
    answer = service.client.post("/whip", content="v=0", headers={"content-type": "application/sdp; charset=utf-8"})
    assert answer.status_code == 201
    assert answer.headers["content-type"].startswith("application/sdp")
    assert answer.text == "answer to v=0"
    assert answer.headers["etag"] == '"tag"'
    (session,) = service.sessions.all()
    assert answer.headers["location"] == f"/whip/{session.id}"
    assert answer.headers.get_list("link") == [
        '<stun:stun.example.org>; rel="ice-server"',
        '<turn:turn.example.org>; rel="ice-server"; username="me"; credential="secret"; credential-type="password"',
    ]


def test_a_publisher_may_name_and_choose(service: Service) -> None:
    service.publish("/whip/front-door?talk=push_to_talk&barge_in=queue&budget=256&deep_share=0.5")
    session = service.sessions.get("front-door")
    assert session.talk is TalkMode.PUSH_TO_TALK
    assert session.options.barge_in == "queue"
    assert service.engine.opened[session.id] == SessionSettings(budget=256, deep_share=0.5)


@pytest.mark.parametrize("query", ["talk=loudly", "barge_in=never", "budget=0", "deep_share=2", "deep_share=x"])
def test_a_choice_that_is_none_is_named(service: Service, query: str) -> None:
    answer = service.client.post(f"/whip?{query}", content="v=0", headers=SDP)
    assert answer.status_code == 400
    assert answer.json()["field"] == query.partition("=")[0]
    assert not service.engine.opened


def test_what_may_be_posted_is_told(service: Service) -> None:
    for path in ("/whip", "/whip/front-door"):
        answer = service.client.options(path)
        assert answer.status_code == 200
        assert answer.headers["accept-post"] == "application/sdp"
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_reserved_methods_are_not_allowed(service: Service, method: str) -> None:
    answer = service.client.request(method, "/whip")
    assert answer.status_code == 405
    assert answer.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
def test_another_content_type_is_unsupported(service: Service, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = service.client.post("/whip", content=b"v=0", headers=headers)
    assert answer.status_code == 415
    assert answer.headers["accept-post"] == "application/sdp"
    assert answer.json()["code"] == "unsupported_media"


def test_an_offer_has_a_size_and_an_encoding(service: Service) -> None:
    long = service.client.post("/whip", content="v" * 2_001, headers=SDP)
    assert (long.status_code, long.json()["code"]) == (413, "too_large")
    binary = service.client.post("/whip", content=b"\xff\xfe", headers=SDP)
    assert (binary.status_code, binary.json()["code"]) == (400, "invalid_sdp")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidSdp("No ICE.", remedy="Offer it.", field="ice-ufrag"), 400),
        (UnsupportedMedia("No codec in common.", remedy="Send VP8 or H.264."), 415),
        (ServerFull("No room.", remedy="Later.", retry_after=4.2), 503),
    ],
)
def test_a_refused_offer_is_a_problem_and_leaves_no_session(
    service: Service, error: InvalidSdp | UnsupportedMedia | ServerFull, status: int
) -> None:
    service.sources.refuse = error
    answer = service.client.post("/whip", content="v=0", headers=SDP)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == error.code
    assert answer.json()["remedy"] == error.remedy
    assert answer.headers.get("retry-after") == ("5" if error.retry_after else None)
    assert service.sessions.all() == []


def test_trickle_and_restart(service: Service) -> None:
    id = service.publish("/whip/door")
    answer = service.client.patch(f"/whip/{id}", content="a=x", headers={**FRAGMENT, "if-match": '"tag"'})
    assert (answer.status_code, answer.text) == (204, "")
    service.sources.trickled = Trickled("a=ice-ufrag:new", '"new"')
    answer = service.client.patch("/whip/door", content="a=x", headers={**FRAGMENT, "if-match": "*"})
    assert (answer.status_code, answer.text, answer.headers["etag"]) == (200, "a=ice-ufrag:new", '"new"')
    assert answer.headers["content-type"].startswith("application/trickle-ice-sdpfrag")
    assert service.sources.fragments == [(id, "a=x", '"tag"'), (id, "a=x", "*")]


def test_a_patch_of_the_wrong_kind(service: Service) -> None:
    id = service.publish()
    answer = service.client.patch(f"/whip/{id}", content="a=x", headers=SDP)
    assert answer.status_code == 415
    assert answer.headers["accept-patch"] == "application/trickle-ice-sdpfrag"
    answer = service.client.patch("/whip/nobody", content="a=x", headers=FRAGMENT)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (PreconditionRequired("No If-Match.", remedy="Send it."), 428),
        (PreconditionFailed("Another ICE session.", remedy="Send the latest."), 412),
    ],
)
def test_preconditions(service: Service, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int) -> None:
    id = service.publish()

    async def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(service.sources, "trickle", refuse)
    assert service.client.patch(f"/whip/{id}", content="a=x", headers=FRAGMENT).status_code == status


def test_deleting_a_source_ends_its_session(service: Service) -> None:
    id = service.publish()
    assert service.client.delete(f"/whip/{id}").status_code == 200
    assert service.sources.ended == [id]
    assert service.engine.closed == [id]
    assert service.client.delete(f"/whip/{id}").status_code == 404


def test_other_origins_are_told_only_when_allowed(serve: Serve) -> None:
    service = serve(allowed_origins=["https://cam.example.org"])
    headers = {
        "origin": "https://cam.example.org",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type, authorization",
    }
    preflight = service.client.options("/whip", headers=headers)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://cam.example.org"
    answer = service.client.post("/whip", content="v=0", headers={**SDP, "origin": "https://cam.example.org"})
    assert answer.status_code == 201
    assert {"ETag", "Link", "Location"} <= set(answer.headers["access-control-expose-headers"].split(", "))
