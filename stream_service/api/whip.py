"""Ingest by WHIP (RFC 9725): a source is published, trickles or restarts ICE, and is taken away."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import PlainTextResponse, Response

from stream_service.api.gateway import Gateway, gateway_of
from stream_service.api.guard import GuardedRoute, client_of, needs
from stream_service.api.tokens import Client, Scope
from stream_service.errors import Forbidden, InvalidSdp, TooLarge, UnsupportedMedia
from stream_service.session import endings
from stream_service.session.controller import Session, SessionOptions
from stream_service.session.settings import BargeIn
from stream_service.types import SessionSettings, TalkMode

_SDP = "application/sdp"
_FRAGMENT = "application/trickle-ice-sdpfrag"
_SDP_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {_SDP: {"schema": {"type": "string", "description": "An SDP offer."}}}}
}
_SDP_ANSWER: dict[int | str, dict[str, Any]] = {
    201: {
        "description": "The SDP answer.",
        "content": {_SDP: {"schema": {"type": "string"}}},
        "headers": {
            "Location": {"description": "The source's own path.", "schema": {"type": "string"}},
            "ETag": {"description": "Its ICE session.", "schema": {"type": "string"}},
            "Link": {"description": "STUN and TURN servers.", "schema": {"type": "string"}},
        },
    }
}
_FRAGMENT_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {_FRAGMENT: {"schema": {"type": "string"}}}},
    "parameters": [
        {
            "name": "If-Match",
            "in": "header",
            "required": True,
            "description": "The ICE session's ETag, or * to restart ICE.",
            "schema": {"type": "string"},
        }
    ],
}
_RESTARTED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "ICE was restarted: the server's new fragment.",
        "content": {_FRAGMENT: {"schema": {"type": "string"}}},
        "headers": {"ETag": {"description": "The new ICE session.", "schema": {"type": "string"}}},
    }
}

Its = Annotated[Gateway, Depends(gateway_of)]
Publisher = Annotated[Client, Depends(client_of)]
router = APIRouter(tags=["Ingest"], dependencies=[needs(Scope.PUBLISH)], route_class=GuardedRoute)


def chosen(
    its: Its,
    talk: Annotated[TalkMode | None, Query(description="How the microphone becomes questions.")] = None,
    barge_in: Annotated[BargeIn | None, Query(description="What a question during an answer does.")] = None,
    budget: Annotated[int | None, Query(ge=1, description="Audiovisual tokens that the session may keep.")] = None,
    deep_share: Annotated[float | None, Query(gt=0, le=1, description="Mean share used in the deep layers.")] = None,
) -> SessionOptions:
    """What the publisher chose, by query parameters, over the server's defaults."""
    defaults = its.publishing
    return SessionOptions(
        talk=talk or defaults.talk,
        barge_in=barge_in or defaults.barge_in,
        engine=SessionSettings(budget=budget, deep_share=deep_share),
    )


@router.options("/whip", response_class=Response)
@router.options("/whip/{name}", response_class=Response)
async def describe(request: Request, its: Its) -> Response:
    """What may be posted here (RFC 9725 §4.1)."""
    methods = "OPTIONS, POST, PATCH, DELETE" if request.path_params else "OPTIONS, POST"  # a session's path, too
    headers = {"Accept-Post": _SDP, "Accept-Patch": _FRAGMENT, "Allow": methods}
    return _with_links(Response(status_code=200, headers=headers), its)


@router.post("/whip", status_code=201, response_class=Response, responses=_SDP_ANSWER, openapi_extra=_SDP_BODY)
@router.post("/whip/{name}", status_code=201, response_class=Response, responses=_SDP_ANSWER, openapi_extra=_SDP_BODY)
async def publish(
    request: Request,
    its: Its,
    client: Publisher,
    options: Annotated[SessionOptions, Depends(chosen)],
    name: str | None = None,
) -> Response:
    """Publish a source: 201 with the SDP answer; ``Location`` is the source's resource (RFC 9725 §4.2)."""
    offer = await _text(request, _SDP, its.publishing.max_sdp_bytes)
    owned = SessionOptions(options.talk, options.barge_in, name, client.name, options.engine)
    if name is not None and its.sessions.find(name) is not None:  # a source comes back to its session
        session, published = await its.sessions.publish(offer, name, owned)
    else:
        with its.quotas.publishing(client, sum(one.options.owner == client.name for one in its.sessions.all())):
            session, published = await its.sessions.publish(offer, name, owned)
    headers = {"Location": f"/whip/{session.id}", "ETag": published.etag}
    return _with_links(Response(published.answer, 201, headers, media_type=_SDP), its)


@router.patch(
    "/whip/{session}",
    status_code=204,
    response_class=Response,
    responses=_RESTARTED,
    openapi_extra=_FRAGMENT_BODY,
)
async def trickle(request: Request, its: Its, client: Publisher, session: str) -> Response:
    """Add ICE candidates (204), or restart ICE with ``If-Match: *`` (200 with the new fragment; RFC 9725 §4.3)."""
    fragment = await _text(request, _FRAGMENT, its.publishing.max_sdp_bytes)
    trickled = await its.sessions.trickle(_own(its, client, session).id, fragment, request.headers.get("if-match"))
    if trickled.answer is None:
        return Response(status_code=204)
    headers = {} if trickled.etag is None else {"ETag": trickled.etag}
    return Response(trickled.answer, 200, headers, media_type=_FRAGMENT)


@router.delete("/whip/{session}", status_code=200, response_class=PlainTextResponse)
async def end(its: Its, client: Publisher, session: str) -> Response:
    """Take the source away; its session is closed."""
    await its.sessions.close(_own(its, client, session).id, endings.SOURCE_ENDED)
    return PlainTextResponse("The session is closed.\n")  # ffmpeg takes an answer without a body for a failure


def _own(its: Gateway, client: Client, key: str) -> Session:
    """The session ``key``, if ``client`` opened it (or is an administrator). Raises NotFound and Forbidden."""
    session = its.sessions.get(key)
    if session.options.owner != client.name and not client.may(Scope.ADMIN):
        raise Forbidden("This session was opened with another token.", remedy="Use the token that opened it.")
    return session


async def _text(request: Request, expected: str, limit: int) -> str:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != expected:
        raise UnsupportedMedia(
            f"The body is {content_type[:80] or 'untyped'}, not {expected}.", remedy=f"Send Content-Type: {expected}."
        )
    body = await request.body()
    if len(body) > limit:
        raise TooLarge(f"The SDP has {len(body):,} bytes.", remedy=f"Send at most {limit:,} bytes.")
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise InvalidSdp("The SDP is not UTF-8.", field="body", remedy="Send the offer as text.") from None


def _with_links(response: Response, its: Gateway) -> Response:
    """Advertise the ICE servers as Link headers (RFC 9725 §4.6)."""
    for server in its.publishing.ice_servers():
        urls = server["urls"]
        for url in [urls] if isinstance(urls, str) else urls:
            link = f'<{url}>; rel="ice-server"'
            if "username" in server:
                secret = server.get("credential", "")
                link += f'; username="{server["username"]}"; credential="{secret}"; credential-type="password"'
            response.headers.append("Link", link)
    return response
