"""The server's HTTP side: problem documents become errors, everything else is handed on."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any, Self

import httpx

from clients.python.errors import ConnectionLost, ServerProblem


class Api:
    """One server, with an optional bearer token; use it as an async context manager.

    Every method raises :class:`ServerProblem` when the server refuses and :class:`ConnectionLost` when it is not there.
    """

    def __init__(self, server: str, token: str | None = None, *, timeout_s: float = 10.0) -> None:
        self.server = server.rstrip("/")
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.AsyncClient(base_url=self.server, headers=self.headers, timeout=timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request; ``options`` are httpx's."""
        try:
            response = await self._http.request(method, path, **options)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ConnectionLost(
                f"{self.server} does not answer: {str(error) or type(error).__name__}",
                remedy="Check that the server runs and that its address is right.",
            ) from error
        if response.is_error:
            raise problem(response.status_code, response.content, response.headers.get("retry-after"))
        return response

    async def ask(self, session: str, text: str) -> str:
        """Ask about the stream as it is now; returns the question's id."""
        response = await self.request("POST", f"/v1/sessions/{session}/questions", json={"text": text})
        return str(response.json()["question"])

    async def set_talk_mode(self, session: str, mode: str) -> None:
        """Set how the session listens: ``hands_free``, ``push_to_talk`` or ``off``."""
        await self.request("PUT", f"/v1/sessions/{session}/talk", json={"mode": mode})

    async def talk_key(self, session: str, action: str) -> None:
        """``press`` or ``release`` the session's push-to-talk key."""
        await self.request("POST", f"/v1/sessions/{session}/talk", json={"action": action})


def problem(status: int, body: bytes, retry_after: str | None = None) -> ServerProblem:
    """The error that a refusal's body describes; a body that is no problem document is told by its status."""
    try:
        told = json.loads(body)
    except ValueError:
        told = {}
    if not isinstance(told, dict):
        told = {}
    return ServerProblem(
        str(told.get("detail") or f"The server answered with status {status}."),
        remedy=str(told.get("remedy") or "Check that this is an OmniDrop server and that its version fits."),
        status=status,
        code=str(told.get("code") or status),
        retry_after=float(retry_after) if retry_after is not None and retry_after.isdecimal() else None,
    )
