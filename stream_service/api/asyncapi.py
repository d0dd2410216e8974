"""The AsyncAPI 3.0 document of the answer WebSocket and of MQTT, made from the event classes themselves."""

from __future__ import annotations

from typing import Any

from stream_service.answers.events import EVENT

_SCHEMAS = "#/components/schemas/"
_SESSION = {"description": "Id or name of the session."}
_TOPIC_SESSION = {"description": "Name of the session, or its id if it has none."}
_QUESTION: dict[str, Any] = {
    "description": "A question: its text as it is, or an object with the text and an id to recognise it by.",
    "oneOf": [
        {"type": "string"},
        {
            "type": "object",
            "required": ["text"],
            "additionalProperties": False,
            "properties": {"text": {"type": "string"}, "id": {"type": "string", "maxLength": 128}},
        },
    ],
}
_REFUSAL: dict[str, Any] = {
    "type": "object",
    "description": "Why a question was not taken.",
    "required": ["code", "message", "remedy", "id"],
    "properties": {
        "code": {"type": "string"},
        "message": {"type": "string"},
        "remedy": {"type": "string"},
        "id": {"type": ["string", "null"]},
    },
}
_OTHER_MESSAGES = {
    "question": {"name": "question", "payload": _QUESTION},
    "refusal": {"name": "refusal", "contentType": "application/json", "payload": _REFUSAL},
    "status": {"name": "status", "payload": {"type": "string", "enum": ["online", "offline"]}},
}


def document(version: str) -> dict[str, Any]:
    """The document, for the service's ``version``."""
    schema = EVENT.json_schema(mode="serialization", ref_template=_SCHEMAS + "{model}")
    schemas: dict[str, Any] = schema.pop("$defs")
    mapping: dict[str, str] = schema["discriminator"]["mapping"]
    messages = {
        kind: {"name": kind, "contentType": "application/json", "payload": {"$ref": reference}}
        for kind, reference in mapping.items()
    }
    channels = {"answers": _answers(list(messages)), **_topics(list(messages))}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "OmniDrop Live: events",
            "version": version,
            "description": "Events of one session, numbered without gaps, by WebSocket and by MQTT. A client that "
            "reconnects with the number of the last event it has seen loses nothing and sees nothing twice.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {name: _operation(name, channel) for name, channel in channels.items()},
        "components": {"messages": messages | _OTHER_MESSAGES, "schemas": schemas},
    }


def _answers(kinds: list[str]) -> dict[str, Any]:
    parameters = {
        "session": _SESSION,
        "after": {"description": "Number of the last event that the client has seen; 0 for all.", "default": "0"},
        "ticket": {"description": "For browsers, from POST /v1/tickets; programs send an Authorization header."},
    }
    description = "A WebSocket, from the server to the client."
    return _channel("/v1/sessions/{session}/answers?after={after}&ticket={ticket}", kinds, description, parameters)


def _topics(kinds: list[str]) -> dict[str, Any]:
    """MQTT's topics, under the prefix that the operator chose (``mqtt.prefix``), QoS 1."""
    prefix = {"description": "First part of every topic (mqtt.prefix).", "default": "omnidrop"}
    both = {"prefix": prefix, "session": _TOPIC_SESSION}
    topics = {
        "mqttEvents": ("{prefix}/{session}/events", kinds, "Every event.", both),
        "mqttAnswers": ("{prefix}/{session}/answers", ["answer.done"], "Every answer, once it is complete.", both),
        "mqttAsk": ("{prefix}/{session}/ask", ["question"], "Questions, from clients to the server.", both),
        "mqttErrors": ("{prefix}/{session}/errors", ["refusal"], "Questions that were not taken.", both),
        "mqttStatus": ("{prefix}/status", ["status"], "Whether the server is there; retained.", {"prefix": prefix}),
    }
    return {name: _channel(*parts) for name, parts in topics.items()}


def _channel(address: str, kinds: list[str], description: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "address": address,
        "description": description,
        "parameters": parameters,
        "messages": {kind: {"$ref": f"#/components/messages/{kind}"} for kind in kinds},
    }


def _operation(name: str, channel: dict[str, Any]) -> dict[str, Any]:
    """In AsyncAPI's words, what the server does: it sends everything but questions."""
    return {
        "action": "receive" if name == "mqttAsk" else "send",
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{kind}"} for kind in channel["messages"]],
    }
