"""The AsyncAPI 3.0 document of the answer WebSocket, made from the event classes themselves."""

from __future__ import annotations

from typing import Any

from stream_service.answers.events import EVENT

_SCHEMAS = "#/components/schemas/"
_PARAMETERS = {
    "session": {"description": "Id or name of the session."},
    "after": {"description": "Number of the last event that the client has seen; 0 for all.", "default": "0"},
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
    channel = "#/channels/answers"
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "OmniDrop Live: answers",
            "version": version,
            "description": "Events of one session, numbered without gaps. A client that reconnects with the number of "
            "the last event it has seen loses nothing and sees nothing twice.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "answers": {
                "address": "/v1/sessions/{session}/answers?after={after}",
                "parameters": _PARAMETERS,
                "messages": {kind: {"$ref": f"#/components/messages/{kind}"} for kind in messages},
            }
        },
        "operations": {
            "receiveEvents": {
                "action": "send",
                "channel": {"$ref": channel},
                "messages": [{"$ref": f"{channel}/messages/{kind}"} for kind in messages],
            }
        },
        "components": {"messages": messages, "schemas": schemas},
    }
