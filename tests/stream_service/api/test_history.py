"""Events of sessions, living, closed and of earlier runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.stream_service.api.conftest import Serve, Service
from tests.stream_service.fakes import sound


def watched(service: Service, windows: int, path: str = "/whip/door") -> str:
    id = service.publish(path)
    for window in range(windows):
        service.sources.sinks[id].on_audio(sound(2.0 * window, 2.0))
    service.route()
    return id


@pytest.fixture
def pages(service: Service) -> Callable[..., list[dict[str, Any]]]:
    def walk(key: str, limit: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            page = service.client.get(f"/v1/sessions/{key}/events", params={"after": after, "limit": limit}).json()
            found.append(page)
            after = page["next"]
        return found

    return walk


def test_history_is_read_page_by_page(service: Service, pages: Callable[..., list[dict[str, Any]]]) -> None:
    id = watched(service, 9)
    found = pages("door", 4)
    assert [[event["seq"] for event in page["events"]] for page in found] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
    assert {(page["session"], page["last"]) for page in found} == {(id, 10)}
    assert service.client.get(f"/v1/sessions/{id}/events?after=10").json()["events"] == []
    assert service.client.get(f"/v1/sessions/{id}/events?after=99").json()["next"] is None


def test_all_of_it_as_json_lines(service: Service) -> None:
    id = watched(service, 20)
    answer = service.client.get(f"/v1/sessions/{id}/events?after=1", headers={"accept": "application/x-ndjson"})
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert [json.loads(line)["seq"] for line in answer.text.splitlines()] == list(range(2, 22))


def test_of_a_log_that_forgot_its_beginning_the_rest_is_given(serve: Serve) -> None:
    service = serve(history=5)
    id = watched(service, 11)
    page = service.client.get(f"/v1/sessions/{id}/events?limit=2").json()
    assert [event["seq"] for event in page["events"]] == [8, 9]
    lines = service.client.get(f"/v1/sessions/{id}/events", headers={"accept": "application/x-ndjson"})
    assert len(lines.text.splitlines()) == 5


def test_a_closed_session_is_listed_and_read_until_it_is_erased(service: Service) -> None:
    id = watched(service, 2)
    refused = service.client.delete("/v1/sessions/door/events")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    service.client.delete("/v1/sessions/door")
    living = watched(service, 1, "/whip/shed")
    listed = service.client.get("/v1/history").json()["sessions"]
    assert [(one["session"], one["name"], one["closed"] is None) for one in listed] == [
        (living, "shed", True),
        (id, "door", False),
    ]
    assert listed[1]["seq"] == 4
    assert len(service.client.get("/v1/sessions/door/events").json()["events"]) == 4
    assert service.client.delete("/v1/sessions/door/events").status_code == 204
    for method, path in (("GET", f"/v1/sessions/{id}/events"), ("DELETE", "/v1/sessions/door/events")):
        gone = service.client.request(method, path)
        assert (gone.status_code, gone.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("query", ["after=-1", "limit=0", "limit=1001", "after=x", "after=99999999999999999999"])
def test_nonsense_is_refused(service: Service, query: str) -> None:
    id = watched(service, 1)
    answer = service.client.get(f"/v1/sessions/{id}/events?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
