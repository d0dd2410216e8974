"""The answer WebSocket: one subscriber of one session.

Closing codes: 1000 the session is over; 1012 the server stops, and the session goes on when it is back; 1013 the
subscriber was too slow, or the log out of reach (RFC 6455's registry: service restart, try again later); 4404 no such
session; 4409 ``after`` was never reached, so the client remembers another session; 4410 the events after ``after``
are no longer held. Each 44xx follows an ``error`` event with ``seq`` 0 that says what to do. Keep-alive pings are the
server's (``server.ping_s``).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing, suppress
from datetime import datetime
from enum import IntEnum

import anyio
from starlette.websockets import WebSocket, WebSocketDisconnect

from stream_service.answers import events
from stream_service.answers.fanout import AheadOfLog, Fanout, Interruption, SubscriberTooSlow
from stream_service.answers.log import LogTrimmed
from stream_service.errors import LogUnavailable


class CloseCode(IntEnum):
    """Why the server closed the socket."""

    SESSION_OVER = 1000
    RESTART = 1012
    TRY_AGAIN_LATER = 1013
    NO_SUCH_SESSION = 4404
    AHEAD_OF_LOG = 4409
    LOG_TRIMMED = 4410


async def serve(
    websocket: WebSocket, session: str, fanout: Fanout | None, after: int, now: datetime, count: Callable[[str], None]
) -> None:
    """Accept the socket and send every event after number ``after`` until one side leaves.

    ``count`` is told the code of the error with which a subscriber is refused.
    """
    await websocket.accept()
    line = _Line(websocket, session, now, count)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(line.send, fanout, after, tasks.cancel_scope)
        # What the client sends has no meaning here; reading it is how its leaving is noticed.
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass
        tasks.cancel_scope.cancel()


class _Line:
    """The sending side of one accepted socket."""

    def __init__(self, websocket: WebSocket, session: str, now: datetime, count: Callable[[str], None]) -> None:
        self._websocket = websocket
        self._session = session
        self._now = now
        self._count = count

    async def send(self, fanout: Fanout | None, after: int, scope: anyio.CancelScope) -> None:
        """Send until the session is over, nothing can follow or the client has left; then leave ``scope``."""
        with suppress(WebSocketDisconnect):
            if fanout is None:
                remedy = "Check the id or name, or publish a source first; sessions end when their source is gone."
                await self._refuse(CloseCode.NO_SUCH_SESSION, "not_found", "There is no such session.", remedy)
            else:
                await self._deliver(fanout, after)
        scope.cancel()

    async def _deliver(self, fanout: Fanout, after: int) -> None:
        try:
            async with aclosing(fanout.subscribe(after)) as records:
                async for record in records:
                    await self._websocket.send_text(record.json)
            await self._websocket.close(CloseCode.SESSION_OVER)
        except Interruption:
            await self._websocket.close(CloseCode.RESTART, "resume with after=SEQ of the last event received")
        except LogUnavailable as error:
            await self._websocket.close(CloseCode.TRY_AGAIN_LATER, f"{error.message} {error.remedy}")
        except SubscriberTooSlow:
            await self._websocket.close(CloseCode.TRY_AGAIN_LATER, "resume with after=SEQ of the last event received")
        except LogTrimmed as error:
            resume = error.oldest - 1
            remedy = f"Subscribe with after={resume}: earlier events are gone."
            message = f"The events after {after} are no longer held."
            await self._refuse(CloseCode.LOG_TRIMMED, "events_trimmed", message, remedy, resume)
        except AheadOfLog:
            remedy = "Subscribe with after=0: this is another session than the one remembered."
            message = f"The session has not reached event {after}."
            await self._refuse(CloseCode.AHEAD_OF_LOG, "events_ahead", message, remedy, 0)

    async def _refuse(self, close: CloseCode, code: str, message: str, remedy: str, resume: int | None = None) -> None:
        error = events.Error(
            seq=0,
            session=self._session,
            at=0.0,
            wall=self._now,
            code=code,
            message=message,
            remedy=remedy,
            resume_after=resume,
        )
        self._count(code)
        await self._websocket.send_text(error.model_dump_json())
        await self._websocket.close(close, message)
