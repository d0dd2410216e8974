"""The API documents that are checked in say what the service does."""

import json
from pathlib import Path
from typing import Any

import pytest

from stream_service.answers.mqtt_topics import Topics
from stream_service.api.documents import documents

FOLDER = Path(__file__).parents[3] / "docs" / "api"


@pytest.mark.parametrize("name", ["openapi.json", "asyncapi.json"])
def test_the_documents_are_fresh(name: str) -> None:
    made, kept = json.loads(documents()[name]), json.loads((FOLDER / name).read_text(encoding="utf-8"))
    for document in (made, kept):
        document["info"].pop("version")  # that of the installed package
    assert kept == made, "run: python -m stream_service.api.documents docs/api"


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        inner = [found for value in node.values() for found in references(value)]
        return inner + ([node["$ref"]] if isinstance(node.get("$ref"), str) else [])
    return [found for value in node for found in references(value)] if isinstance(node, list) else []


@pytest.mark.parametrize("name", ["openapi.json", "asyncapi.json"])
def test_every_reference_leads_somewhere(name: str) -> None:
    document = json.loads(documents()[name])
    assert references(document)
    for reference in references(document):
        found = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/")]


def test_operations_are_described_and_refused_with_problems() -> None:
    document = json.loads(documents()["openapi.json"])
    names = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], (method, path)
            assert "422" not in operation["responses"], (method, path)
            assert operation["responses"]["default"] == {"$ref": "#/components/responses/Problem"}
            names.add(operation["operationId"])
    assert len(names) == sum(len(operations) for operations in document["paths"].values())


def test_the_topics_are_those_that_are_used() -> None:
    channels = json.loads(documents()["asyncapi.json"])["channels"]
    described = {
        name: one["address"].format(prefix="p", session="s", after=0, ticket="") for name, one in channels.items()
    }
    topics = Topics("p")
    for name, what in (
        ("mqttEvents", "events"),
        ("mqttAnswers", "answers"),
        ("mqttAsk", "ask"),
        ("mqttErrors", "errors"),
    ):
        assert described[name] == topics.of("s", what)
    assert described["mqttStatus"] == topics.status
