"""Asking, and ending sessions, against a server that may be in pieces."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from clients.python import Api, ServerProblem

QUESTION = "What do you see and hear?"
PATIENCE_S = 60.0
"""For one answer over HTTP: promises are judged, not times, and the machine may be busy."""
_TRIES, _AGAIN_S = 100, 0.2


def patient(server: str) -> Api:
    """The server's HTTP side, for one who can wait."""
    return Api(server, timeout_s=PATIENCE_S)


async def ask(api: Api, session: str) -> str:
    """Ask, again while the server asks for patience (engine or gateway starting); returns the question's id.

    Raises ServerProblem for another refusal, or when it stays so for 20 s.
    """
    for _ in range(_TRIES):
        try:
            return await api.ask(session, QUESTION)
        except ServerProblem as refusal:
            if refusal.retry_after is None and refusal.status != HTTPStatus.NOT_FOUND:
                raise
            last = refusal
        await asyncio.sleep(_AGAIN_S)
    raise last


async def close(api: Api, session: str) -> None:
    """End a session."""
    await api.request("DELETE", f"/v1/sessions/{session}")
