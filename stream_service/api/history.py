"""What sessions said, page by page: those of earlier runs of the server too, until they are erased."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from stream_service.answers.events import Event, Wire
from stream_service.answers.log import EventLog, Logged, LogTrimmed, Record
from stream_service.api.gateway import Gateway, gateway_of
from stream_service.api.guard import GuardedRoute, needs
from stream_service.api.tokens import Scope
from stream_service.errors import Conflict, NotFound

_LINES = "application/x-ndjson"
_PAGE = 500

Its = Annotated[Gateway, Depends(gateway_of)]
router = APIRouter(prefix="/v1", tags=["History"], route_class=GuardedRoute)


class EventPage(Wire):
    """Events of one session, in order. The next page is asked for with ``after`` = ``next``, until that is null."""

    session: str = Field(description="Id of the session.")
    events: list[Event] = Field(description="What followed `after`; of a log that forgot its beginning, what is left.")
    next: int | None = Field(description="Where the next page begins; null when this one is the last for now.")
    last: int = Field(description="Number of the session's newest event.")


class LoggedSession(Wire):
    session: str = Field(description="Its id.")
    name: str | None = Field(description="Its stable name, if it had one.")
    opened: datetime = Field(description="When it was opened.")
    closed: datetime | None = Field(description="When it was closed; null while it is open.")
    seq: int = Field(description="Number of its newest event.")
    size: int = Field(description="What its events take in the log, in characters.")


class History(Wire):
    sessions: list[LoggedSession]


_BOTH: dict[int | str, dict[str, Any]] = {
    200: {"content": {_LINES: {"schema": {"type": "string", "description": "All events after `after`, one a line."}}}}
}


@router.get("/history", dependencies=[needs(Scope.ADMIN)])
async def history(its: Its, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> History:
    """The sessions in the log, living and closed, newest first."""
    return History(sessions=[_view(logged) for logged in await its.fanouts.logs.sessions(limit)])


@router.get(
    "/sessions/{session}/events",
    response_model=EventPage,
    responses=_BOTH,
    dependencies=[needs(Scope.SUBSCRIBE)],
)
async def events(
    request: Request,
    its: Its,
    session: str,
    after: Annotated[int, Query(ge=0, le=2**53, description="Number of the last event that is not wanted.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="Events on a page.")] = 100,
) -> Response:
    """A session's events after number ``after``; with ``Accept: application/x-ndjson`` all of them, one a line."""
    id, log = await _log(its, session)
    if _LINES in request.headers.get("accept", ""):
        return StreamingResponse(_lines(log, after), media_type=_LINES)
    page = await _read(log, after, limit)
    more = page and page[-1].seq < log.durable
    # The events are JSON already, as they were sent to subscribers.
    listed = ",".join(record.json for record in page)
    head = EventPage(session=id, events=[], next=page[-1].seq if more else None, last=log.durable).model_dump_json()
    return Response(head.replace('"events":[]', f'"events":[{listed}]', 1), media_type="application/json")


@router.delete("/sessions/{session}/events", status_code=204, dependencies=[needs(Scope.ADMIN)])
async def erase(its: Its, session: str) -> Response:
    """Forget a closed session and all of its events."""
    if its.sessions.find(session) is not None:
        raise Conflict("The session is open.", remedy="End it first, with DELETE of /v1/sessions/{session}.")
    logged = await its.fanouts.logs.locate(session)
    if logged is None:
        raise _unknown(session)
    await its.fanouts.logs.erase(logged.session)
    return Response(status_code=204)


async def _log(its: Gateway, key: str) -> tuple[str, EventLog]:
    living = its.sessions.find(key)
    fanout = await its.fanouts.find(key if living is None else living.id)
    if fanout is None:
        raise _unknown(key)
    if living is not None:
        return living.id, fanout.log
    logged = await its.fanouts.logs.locate(key)
    return key if logged is None else logged.session, fanout.log


async def _read(log: EventLog, after: int, limit: int) -> list[Record]:
    """A page; of a log that forgot what follows ``after``, the first one that it holds."""
    if after >= log.durable:
        return []
    try:
        return await log.read(after, limit)
    except LogTrimmed as trimmed:
        oldest = trimmed.oldest
    return await log.read(oldest - 1, limit) if oldest <= log.durable else []


async def _lines(log: EventLog, after: int) -> AsyncIterator[str]:
    last = log.durable
    while after < last and (page := await _read(log, after, _PAGE)):
        yield "".join(f"{record.json}\n" for record in page if record.seq <= last)
        after = page[-1].seq


def _unknown(key: str) -> NotFound:
    return NotFound(f"Nothing is known of a session {key[:80]!r}.", remedy="Check the id or name: GET /v1/history.")


def _view(logged: Logged) -> LoggedSession:
    return LoggedSession(
        session=logged.session,
        name=logged.name,
        opened=logged.opened,
        closed=logged.closed,
        seq=logged.last,
        size=logged.size,
    )
