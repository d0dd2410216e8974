"""No request body is read beyond a bound, whatever its route does with it."""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream_service.api.problems import problem_of
from stream_service.errors import TooLarge


class BoundedBody:
    """ASGI middleware: reads the body first (all bodies here are small), and answers 413 past ``limit`` bytes.

    ``count`` is told the code of that error.
    """

    def __init__(self, app: ASGIApp, limit: int, count: Callable[[str], None]) -> None:
        self._app = app
        self._limit = limit
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        body = None
        if not declared.isdecimal() or int(declared) <= self._limit:
            body = await self._read(receive)
        if body is None:
            error = TooLarge(
                f"The request body has more than {self._limit:,} bytes.",
                remedy="Send less; the operator can raise server.max_body_bytes.",
            )
            self._count(error.code)
            await problem_of(error)(scope, receive, send)
            return
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, replay, send)

    async def _read(self, receive: Receive) -> bytes | None:
        """The whole body; None when it is too long."""
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self._limit:
                return None
            if not message.get("more_body", False):
                return bytes(body)
