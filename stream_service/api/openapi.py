"""The OpenAPI document as this service really behaves: scopes, problem documents, and bodies that are not JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from stream_service.api.guard import scopes

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "status", "detail", "code", "remedy"],
    "properties": {
        "type": {"type": "string", "description": "urn:omnidrop:problem: and the code."},
        "title": {"type": "string", "description": "The status in words."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What went wrong, for people."},
        "code": {"type": "string", "description": "Stable name of the kind of error, for programs."},
        "remedy": {"type": "string", "description": "What the client can do."},
        "field": {"type": "string", "description": "The parameter or field that is wrong, if one is."},
    },
}
_BEARER = {"type": "http", "scheme": "bearer", "description": "A token of the operator's (server.tokens)."}


def describe(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """A replacement for ``app.openapi``; raises RuntimeError like :func:`stream_service.api.guard.scopes`."""
    plain = app.openapi
    guarded = [(route, scope) for route, scope in scopes(app) if isinstance(route, APIRoute)]

    def described() -> dict[str, Any]:
        document = plain()
        parts: dict[str, Any] = document.setdefault("components", {})
        parts["securitySchemes"] = {"token": _BEARER}
        parts["responses"] = {
            "Problem": {
                "description": "It was refused, or failed.",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }
        }
        schemas = parts.setdefault("schemas", {})
        schemas["Problem"] = _PROBLEM
        for unused in ("HTTPValidationError", "ValidationError"):  # we answer these with problems, too
            schemas.pop(unused, None)
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
                operation["responses"]["default"] = {"$ref": "#/components/responses/Problem"}
        for route, scope in guarded:
            for method in route.methods or ():
                operation = document["paths"].get(route.path_format, {}).get(method.lower())
                if operation is not None:
                    operation["security"] = [{"token": [] if scope is None else [scope.value]}]
        return document

    return described
