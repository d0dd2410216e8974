"""Who may use the server: bearer tokens, same-origin pages, and local clients only where there are no tokens.

Without tokens a server listens on loopback only, and answers only to loopback host names: otherwise any page that the
user visits could reach it by resolving its own name to 127.0.0.1 (DNS rebinding).
"""

from __future__ import annotations

import hmac
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from stream_service.api.settings import ServerSettings
from stream_service.errors import Forbidden, StartupError, Unauthorised


def is_loopback(host: str) -> bool:
    """Whether ``host`` (a name or an address, without port) can only mean this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_exposure(settings: ServerSettings) -> None:
    """Raise StartupError for a server that would be open to the network without authentication."""
    if not settings.tokens and not is_loopback(settings.host):
        raise StartupError(
            f"Refusing to listen on {settings.host} without authentication: anyone in reach could watch and ask.",
            field="server.tokens",
            remedy="Set server.tokens (OMNIDROP_SERVER__TOKENS='[\"…\"]'), or listen on 127.0.0.1.",
        )


class Gate:
    """Checks every request and every WebSocket before it reaches a route."""

    def __init__(self, settings: ServerSettings) -> None:
        self._tokens = [token.encode() for token in settings.tokens]
        self._origins = {origin.rstrip("/").lower() for origin in settings.allowed_origins}
        self._hosts = {host.lower() for host in settings.allowed_hosts}

    def admit(self, connection: HTTPConnection) -> str | None:
        """The token that the client presented, None where none is asked for.

        Raises Forbidden for a foreign origin or host name, Unauthorised for a missing or wrong token. A browser cannot
        set headers on a WebSocket, so ``?access_token=`` is taken there (RFC 6750 §2.3).
        """
        self._check_host(connection)
        self._check_origin(connection)
        if not self._tokens:
            return None
        token = self._presented(connection)
        # Every token is compared, so that the time taken tells nothing about which one came close.
        matches = [hmac.compare_digest(token.encode(), known) for known in self._tokens]
        if not any(matches):
            raise Unauthorised(
                "A valid bearer token is needed." if token else "This server asks for a bearer token.",
                remedy="Send 'Authorization: Bearer TOKEN' with a token that the operator configured.",
            )
        return token

    def _presented(self, connection: HTTPConnection) -> str:
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
        if connection.scope["type"] == "websocket":
            return connection.query_params.get("access_token", "")
        return ""

    def _check_host(self, connection: HTTPConnection) -> None:
        host = (connection.url.hostname or "").lower()
        if not self._tokens and not is_loopback(host) and host not in self._hosts:
            raise Forbidden(
                f"This server does not answer to the host name {host[:80]!r}.",
                remedy="Use http://127.0.0.1, or let the operator set server.allowed_hosts or server.tokens.",
            )

    def _check_origin(self, connection: HTTPConnection) -> None:
        origin = connection.headers.get("origin", "").rstrip("/").lower()
        if not origin or origin in self._origins:
            return
        if urlsplit(origin).netloc != connection.headers.get("host", "").lower():
            raise Forbidden(
                f"Pages of {origin[:80]} may not use this server.",
                remedy="Let the operator add that origin to server.allowed_origins.",
            )
