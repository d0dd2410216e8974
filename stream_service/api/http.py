"""The ASGI application around a gateway."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse

from stream_service.api import access, admin, asyncapi, history, openapi, operations, problems, sessions, whip
from stream_service.api.gateway import Gateway
from stream_service.api.limits import BoundedBody
from stream_service.api.page import Page


def create(gateway: Gateway) -> FastAPI:
    """Build the application: WHIP, sessions, probes, metrics, and the page at ``/``."""
    app = routed()
    app.state.gateway = gateway
    problems.install(app, gateway.metrics.on_error)
    if gateway.page is not None:
        app.mount("/", Page(directory=gateway.page, html=True), name="page")
    app.add_middleware(BoundedBody, limit=gateway.server.max_body_bytes, count=gateway.metrics.on_error)
    if gateway.server.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(gateway.server.allowed_origins),
            allow_methods=["*"],
            allow_headers=["Authorization", "Content-Type", "If-Match"],
            expose_headers=["ETag", "Link", "Location", "Retry-After"],
        )
    return app


def routed() -> FastAPI:
    """Its routes with their description, nothing behind them yet."""
    app = FastAPI(
        title="OmniDrop Live",
        version=release(),
        description="Ask a live camera and microphone. Answers come as events on the answer WebSocket.",
        docs_url=None,  # its scripts would come from another server
        redoc_url=None,
    )
    routers = (operations.router, admin.router, access.router, whip.router, sessions.router, history.router)
    for router in (*routers, sessions.sockets):
        app.router.routes.extend(router.routes)  # flat (include_router is not), so that the guard sees each of them

    @app.get("/asyncapi.json", include_in_schema=False)
    async def describe_events() -> JSONResponse:
        return JSONResponse(asyncapi.document(release()))

    app.openapi = openapi.describe(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    return app


def release() -> str:
    """The installed version; "0" in a bare source tree."""
    try:
        return version("omnidrop-live")
    except PackageNotFoundError:
        return "0"
