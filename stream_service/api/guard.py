"""Which scope each route needs, written where the route is; a route that says nothing does not start."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.requests import HTTPConnection
from starlette.responses import Response

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
        if getattr(connection.state, "guard", None) is not self:
            gateway: Gateway = connection.app.state.gateway
            connection.state.client = gateway.gate.admit(connection, self.scope)
            connection.state.guard = self


class GuardedRoute(APIRoute):
    """A route whose guard comes first: FastAPI reads and parses a body before it looks at any dependency, so that a
    stranger would be told what is wrong with his JSON before he is told that he may not send any.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        found = guards(self)

        async def guarded(request: Request) -> Response:
            for guard in found:
                guard(request)
            return await handle(request)

        return guarded


def guards(route: APIRoute | APIWebSocketRoute) -> list[Guard]:
    """The guards among a route's dependencies."""
    return [guard for one in route.dependant.dependencies if isinstance(guard := one.call, Guard)]


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
        its = guards(route)
        if len(its) != 1 or not isinstance(route, GuardedRoute | APIWebSocketRoute):
            raise RuntimeError(
                f"{route.path} must say what it needs: APIRouter(route_class=GuardedRoute), "
                "dependencies=[needs(Scope.…)]"
            )
        found.append((route, its[0].scope))
    return found
