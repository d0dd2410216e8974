"""What an operator's tools ask for: is it alive, can it serve, how is it doing."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse, PlainTextResponse, Response

from stream_service import metrics
from stream_service.api.gateway import Gateway, gateway_of
from stream_service.api.guard import GuardedRoute, needs
from stream_service.api.tokens import Scope
from stream_service.errors import EngineUnavailable

Its = Annotated[Gateway, Depends(gateway_of)]
router = APIRouter(tags=["Also"], route_class=GuardedRoute)


@router.get("/healthz")
async def healthz() -> JSONResponse:
    """200 while the gateway's event loop runs."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz")
async def readyz(its: Its) -> JSONResponse:
    """200 while new sessions can be served; 503 with the reason otherwise."""
    if its.sessions.stopping:
        raise EngineUnavailable("The server is stopping.", remedy="Use another one.", retry_after=5.0)
    if not its.engine.ready:
        raise EngineUnavailable("The engine is being restarted.", remedy="Try again in a moment.", retry_after=5.0)
    stats = await its.engine.stats()
    return JSONResponse({"status": "ready", "sessions": stats.sessions, "degradation": stats.degradation})


@router.get("/metrics", response_class=PlainTextResponse, dependencies=[needs(Scope.ADMIN)])
async def prometheus(its: Its) -> Response:
    """Metrics in the Prometheus text format."""
    its.metrics.on_sessions(Counter(session.state.value for session in its.sessions.all()))
    its.metrics.on_subscribers(sum(session.journal.subscribers for session in its.sessions.all()))
    its.metrics.on_tasks(len(asyncio.all_tasks()))
    its.metrics.on_sources(its.sources.totals())
    return Response(its.metrics.exposition(await its.engine.stats()), media_type=metrics.CONTENT_TYPE)
