"""Which scope each route needs, written where the route is; a route that says nothing does not start."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.requests import HTTPConnection

from stream_service.api.gateway import Gateway
from stream_service.api.tokens import Client, Scope

OPEN_TO_ALL = frozenset({"/healthz", "/readyz", "/asyncapi.json"})
"""Routes without a guard: what they tell is no secret."""

_PLAIN = {"/openapi.json", ""}  # FastAPI's document, and the page


class Guard:
    """Lets a client with ``scope`` pass, any known client for None, and remembers it for the route."""

    def __init__(self, scope: Scope | None) -> None:
        self.scope = scope

    def __call__(self, connection: HTTPConnection) -> None:
        gateway: Gateway = connection.app.state.gateway
        connection.state.client = gateway.gate.admit(connection, self.scope)


def needs(scope: Scope | None) -> Any:
    """For a route's ``dependencies``: the scope that its client must have (None: any client that is known)."""
    return Depends(Guard(scope))


def client_of(connection: HTTPConnection) -> Client:
    """Who sends a request that passed a guard (a FastAPI dependency)."""
    client: Client = connection.state.client
    return client


def scopes(app: FastAPI) -> list[tuple[APIRoute | APIWebSocketRoute, Scope | None]]:
    """Every guarded route with its scope; raises RuntimeError for a route that forgot to say one, or hides others."""
    found: list[tuple[APIRoute | APIWebSocketRoute, Scope | None]] = []
    for route in app.routes:
        if not isinstance(route, APIRoute | APIWebSocketRoute):
            if getattr(route, "path", None) not in _PLAIN:
                raise RuntimeError(f"{route!r} cannot be checked: add its routes one by one")
            continue
        if route.path in OPEN_TO_ALL:
            continue
        guards = [guard for one in route.dependant.dependencies if isinstance(guard := one.call, Guard)]
        if len(guards) != 1:
            raise RuntimeError(f"{route.path} must say what it needs: dependencies=[needs(Scope.…)]")
        found.append((route, guards[0].scope))
    return found
