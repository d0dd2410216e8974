"""Every error as a problem document (RFC 9457), from the one tree in :mod:`stream_service.errors`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from math import ceil
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from stream_service.errors import InvalidInput, OmniDropError

_log = logging.getLogger(__name__)
_ACCEPTED = {
    "POST": {"Accept-Post": "application/sdp"},
    "PATCH": {"Accept-Patch": "application/trickle-ice-sdpfrag"},
}
_REMEDIES = {
    404: "Check the path; GET /openapi.json lists every route.",
    405: "Use one of the methods in the Allow header.",
}


class ProblemResponse(JSONResponse):
    """A response of type ``application/problem+json``."""

    media_type = "application/problem+json"


def problem(
    status: int, code: str, detail: str, remedy: str, *, field: str | None = None, headers: dict[str, str] | None = None
) -> ProblemResponse:
    """A problem document: the RFC's members, and ours: ``code`` (stable), ``remedy`` and ``field``."""
    body: dict[str, Any] = {
        "type": f"urn:omnidrop:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "remedy": remedy,
    }
    if field is not None:
        body["field"] = field
    return ProblemResponse(body, status, headers)


def problem_of(error: OmniDropError) -> ProblemResponse:
    """The problem document of one of our errors."""
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(ceil(error.retry_after))
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="omnidrop"'
    return problem(error.status, error.code, error.message, error.remedy, field=error.field, headers=headers)


def install(app: FastAPI, count: Callable[[str], None]) -> None:
    """Make ``app`` answer every error, also those of the framework, with a problem document; ``count`` its code."""

    @app.exception_handler(OmniDropError)
    async def ours(connection: HTTPConnection, error: OmniDropError) -> Response | None:
        count(error.code)
        response = problem_of(error)
        if isinstance(connection, WebSocket):
            await connection.send_denial_response(response)
            return None  # what is returned would be sent as well
        if error.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
            response.headers.update(_ACCEPTED.get(connection.scope["method"], {}))
        return response

    @app.exception_handler(HTTPException)
    async def theirs(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        count(status.name.lower())
        remedy = _REMEDIES.get(status, "Check the request against GET /openapi.json.")
        detail = f"{request.method} {request.url.path[:200]}: {status.phrase.lower()}."
        return problem(status, status.name.lower(), detail, remedy, headers=dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        remedy = f"Correct {field}; GET /openapi.json describes it."
        count(InvalidInput.code)
        return problem_of(InvalidInput(f"{field}: {first['msg']}.", field=field, remedy=remedy))

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        count("internal")
        ids = {"session": request.path_params.get("session"), "question": request.path_params.get("question")}
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error, extra=ids)
        return problem(
            500, "internal", "Something went wrong in the server.", "Try again; tell the operator if it stays."
        )
