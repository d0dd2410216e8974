"""Who may use the server: holders of a token with the scope asked for, and only local clients where there are none.

Without tokens a server listens on loopback only, and answers only to loopback host names: otherwise any page that the
user visits could reach it by resolving its own name to 127.0.0.1 (DNS rebinding).
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from stream_service.api.settings import ServerSettings
from stream_service.api.tickets import Tickets
from stream_service.api.tokens import LOCAL, Client, Keyring, Scope, read_file
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
    if not settings.guarded and not is_loopback(settings.host):
        raise StartupError(
            f"Refusing to listen on {settings.host} without authentication: anyone in reach could watch and ask.",
            field="server.tokens",
            remedy="Set server.tokens (OMNIDROP_SERVER__TOKENS='[\"…\"]'), or listen on 127.0.0.1.",
        )


class Gate:
    """Checks every request and every WebSocket before it reaches a route; ``clock`` is monotonic, in seconds.

    Raises StartupError for a file of tokens that cannot be read or holds none.
    """

    def __init__(self, settings: ServerSettings, clock: Callable[[], float]) -> None:
        in_file = () if settings.tokens_file is None else read_file(settings.tokens_file)
        if settings.tokens_file is not None and not in_file:
            raise StartupError(
                f"{settings.tokens_file} holds no token.",
                field="server.tokens_file",
                remedy="Add a line ('omnidrop token' prints one), or leave server.tokens_file out.",
            )
        self.tickets = Tickets(clock)
        self._keys = Keyring((*settings.tokens, *in_file))
        self._origins = {origin.rstrip("/").lower() for origin in settings.allowed_origins}
        self._hosts = {host.lower() for host in settings.allowed_hosts}

    def admit(self, connection: HTTPConnection, scope: Scope | None) -> Client:
        """Who sends the request, if it may have ``scope``.

        Raises Forbidden for a foreign origin or host name and for a client without the scope, Unauthorised for a
        missing or wrong token. In place of a token a WebSocket may bring a ticket (``?ticket=``) to its session.
        """
        self._check_host(connection)
        self._check_origin(connection)
        if not len(self._keys):
            return LOCAL
        client = self._recognise(connection)
        if not client.may(scope):
            held = ", ".join(sorted(client.scopes))
            raise Forbidden(
                f"This needs the scope {scope}; the token has {held}.", remedy="Use a token with that scope."
            )
        return client

    def _recognise(self, connection: HTTPConnection) -> Client:
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        ticket = connection.query_params.get("ticket", "") if connection.scope["type"] == "websocket" else ""
        if scheme.lower() == "bearer":
            client = self._keys.recognise(token.strip())
        else:
            client = self.tickets.redeem(ticket, connection.path_params.get("session", "")) if ticket else None
        if client is None:
            raise Unauthorised(
                "That ticket or token is not valid (any more)." if ticket or token else "A bearer token is needed.",
                remedy="Send 'Authorization: Bearer TOKEN' with a token that the operator configured; a page's "
                "WebSocket brings a fresh ticket from POST /v1/tickets.",
            )
        return client

    def _check_host(self, connection: HTTPConnection) -> None:
        host = (connection.url.hostname or "").lower()
        if not len(self._keys) and not is_loopback(host) and host not in self._hosts:
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
