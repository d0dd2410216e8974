"""The answer WebSocket: one subscriber of one session.

Closing codes: 1000 the session is over; 1013 the subscriber was too slow (RFC 6455's registry: try again later);
4404 no such session; 4409 ``after`` was never reached, so the client remembers another session; 4410 the events after
``after`` are no longer held. Each 44xx follows an ``error`` event with ``seq`` 0 that says what to do. Keep-alive pings
are the server's (``server.ping_s``).
"""

from __future__ import annotations

from contextlib import aclosing, suppress
from datetime import datetime
from enum import IntEnum

import anyio
from starlette.websockets import WebSocket, WebSocketDisconnect

from stream_service.answers import events
from stream_service.answers.fanout import AheadOfLog, Fanout, SubscriberTooSlow
from stream_service.answers.log import LogTrimmed


class CloseCode(IntEnum):
    """Why the server closed the socket."""

    SESSION_OVER = 1000
    TRY_AGAIN_LATER = 1013
    NO_SUCH_SESSION = 4404
    AHEAD_OF_LOG = 4409
    LOG_TRIMMED = 4410


async def serve(websocket: WebSocket, session: str, fanout: Fanout | None, after: int, now: datetime) -> None:
    """Accept the socket and send every event after number ``after`` until one side leaves."""
    await websocket.accept()
    if fanout is None:
        remedy = "Check the id or name, or publish a source first; sessions end when their source is gone."
        await _refuse(
            websocket, session, CloseCode.NO_SUCH_SESSION, "not_found", "There is no such session.", remedy, now
        )
        return
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_send, websocket, session, fanout, after, now, tasks.cancel_scope)
        # What the client sends has no meaning here; reading it is how its leaving is noticed.
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass
        tasks.cancel_scope.cancel()


async def _send(
    websocket: WebSocket, session: str, fanout: Fanout, after: int, now: datetime, scope: anyio.CancelScope
) -> None:
    """Send until the session is over, the subscription cannot go on or the client has left; then leave ``scope``."""
    with suppress(WebSocketDisconnect):
        await _deliver(websocket, session, fanout, after, now)
    scope.cancel()


async def _deliver(websocket: WebSocket, session: str, fanout: Fanout, after: int, now: datetime) -> None:
    try:
        async with aclosing(fanout.subscribe(after)) as records:
            async for record in records:
                await websocket.send_text(record.json)
        await websocket.close(CloseCode.SESSION_OVER)
    except SubscriberTooSlow:
        await websocket.close(CloseCode.TRY_AGAIN_LATER, "resume with after=SEQ of the last event received")
    except LogTrimmed as error:
        remedy = f"Subscribe with after={error.oldest - 1}: earlier events are gone."
        message = f"The events after {after} are no longer held."
        await _refuse(websocket, session, CloseCode.LOG_TRIMMED, "events_trimmed", message, remedy, now)
    except AheadOfLog:
        remedy = "Subscribe with after=0: this is another session than the one remembered."
        message = f"The session has not reached event {after}."
        await _refuse(websocket, session, CloseCode.AHEAD_OF_LOG, "events_ahead", message, remedy, now)


async def _refuse(
    websocket: WebSocket, session: str, close: CloseCode, code: str, message: str, remedy: str, now: datetime
) -> None:
    error = events.Error(seq=0, session=session, at=0.0, wall=now, code=code, message=message, remedy=remedy)
    await websocket.send_text(error.model_dump_json())
    await websocket.close(close, message)
