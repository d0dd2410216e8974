"""Tickets for browsers' WebSockets."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field

from stream_service.answers.events import Wire
from stream_service.api.gateway import Gateway, gateway_of
from stream_service.api.guard import GuardedRoute, client_of, needs
from stream_service.api.tickets import LIFE_S
from stream_service.api.tokens import Client, Scope

router = APIRouter(prefix="/v1", tags=["Access"], route_class=GuardedRoute)


class TicketWanted(Wire):
    session: str = Field(max_length=128, description="Id or name of the session, as the WebSocket's address names it.")


class Ticket(Wire):
    ticket: str = Field(description="Put it into the address of one WebSocket: `?ticket=…`.")
    expires_in: float = Field(description="Seconds in which it must be used.")


@router.post("/tickets", status_code=201, dependencies=[needs(Scope.SUBSCRIBE)])
async def ticket(
    its: Annotated[Gateway, Depends(gateway_of)], client: Annotated[Client, Depends(client_of)], wanted: TicketWanted
) -> Ticket:
    """Trade a token for a ticket to one session's answers, good for one WebSocket."""
    return Ticket(ticket=its.gate.tickets.issue(client, wanted.session), expires_in=LIFE_S)
