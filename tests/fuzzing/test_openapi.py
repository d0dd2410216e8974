"""Requests that schemathesis makes from the OpenAPI document: whatever is answered is in the document, and no 5xx."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode

from stream_service.api import http
from stream_service.api.settings import ServerSettings
from tests.fuzzing.seeds import FRAGMENTS, OFFERS
from tests.stream_service.api.conftest import TOKEN, Service
from tests.stream_service.fakes import sound

EXAMPLES = 30
SCHEMA = schemathesis.openapi.from_dict(http.routed().openapi())
OPERATIONS = {one.label: one for one in (found.ok() for found in SCHEMA.get_all_operations())}
SDP, FRAGMENT = "application/sdp", "application/trickle-ice-sdpfrag"
ADMIN = {"authorization": f"Bearer {TOKEN}"}
ERASE = "DELETE /v1/sessions/{session}/events"
EXCLUDED = {
    # A JSON schema cannot say which strings are SDP.
    "POST /whip": ["positive_data_acceptance"],
    "POST /whip/{name}": ["positive_data_acceptance"],
    "PATCH /whip/{session}": ["positive_data_acceptance"],
    # It allows what /whip/{session} takes as well, which the document describes apart.
    "OPTIONS /whip/{name}": ["allow_header_conformance"],
}

for media_type, texts in ((SDP, OFFERS), (FRAGMENT, FRAGMENTS)):
    schemathesis.openapi.media_type(media_type, st.sampled_from(texts).map(str.encode) | st.binary(max_size=300))

    @schemathesis.serializer(media_type)
    def as_it_is(context: schemathesis.SerializationContext, value: object) -> object:
        """These bodies are text; what schemathesis puts in the place of it as a violation is sent as text, too."""
        return value if isinstance(value, bytes) else str(value).encode(errors="replace")


load_all_checks()


@pytest.fixture
def service() -> Iterator[Service]:
    """The HTTP side with fakes behind it, which knows one token; questions run until they are cancelled."""
    server = ServerSettings(tokens=[TOKEN], client_sessions=4096, client_questions_per_minute=6_000)
    made = Service(server, None, 100)
    made.engine.prompt = False
    with made.client as client:
        yield made
        client.portal.call(made.sessions.stop, 0.0)


@pytest.mark.default
@pytest.mark.parametrize("label", OPERATIONS)
def test_what_is_answered_is_in_the_document(label: str, service: Service) -> None:
    operation = OPERATIONS[label]
    statuses = []
    # Who may do what is tested with each route: this check would send requests of its own over the network.
    excluded = CHECKS.get_by_names(["ignored_auth", *EXCLUDED.get(label, [])])

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,  # the same requests in every run
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        operation.as_strategy(GenerationMode.POSITIVE) | operation.as_strategy(GenerationMode.NEGATIVE), st.booleans()
    )
    def attack(case: schemathesis.Case, known: bool) -> None:
        if known and (parameters := case.path_parameters):
            names = living(service, ended=label == ERASE)
            parameters |= {key: names.get(key, value) for key, value in parameters.items()}
        if "Authorization" in (case.headers or {}):
            case.headers["Authorization"] = f"Bearer {TOKEN}"
        made = requests.Request(**case.as_transport_kwargs(base_url="http://127.0.0.1:8080")).prepare()
        answer = service.client.request(made.method, made.url, headers=dict(made.headers), content=made.body)
        service.route()
        statuses.append(answer.status_code)
        case.validate_response(answer, excluded_checks=excluded)

    attack()
    assert any(status < 400 for status in statuses), f"all were refused, which proves little: {statuses}"


def living(service: Service, *, ended: bool) -> dict[str, str]:
    """Path parameters that name something: a session with a question that runs, or one that has ``ended``."""
    session = service.sessions.find("door")
    if session is None:  # an earlier request may have ended it
        headers = ADMIN | {"content-type": SDP}
        service.client.post("/whip/door?talk=push_to_talk", content="v=0", headers=headers).raise_for_status()
        session = service.sessions.get("door")
        session.on_audio(sound(0.0, 2.0))
    question = service.client.post("/v1/sessions/door/questions", json={"text": "What is this?"}, headers=ADMIN)
    if ended:
        service.client.delete("/v1/sessions/door", headers=ADMIN).raise_for_status()
    return {"session": session.id, "question": question.json()["question"]}
