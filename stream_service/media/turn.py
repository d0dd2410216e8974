"""Short-lived credentials for a TURN server that shares a secret with this service.

The scheme is that of draft-uberti-behave-turn-rest-00 §2.2, which coturn takes with ``use-auth-secret``: the user name
is the time of expiry and a label, the password its HMAC. The server needs no list of users, a client that shows its
credentials to others gives away little, and each counts for itself in coturn's ``user-quota``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from stream_service.media.settings import IceServer, MediaSettings


def for_client(settings: MediaSettings, now: float) -> tuple[IceServer, ...]:
    """The STUN and TURN servers of one client, with credentials of its own.

    ``now`` is the time of day in seconds since 1970, to which coturn's clock is compared.
    """
    if settings.turn_secret is None:
        return settings.ice_servers
    name = f"{int(now) + settings.turn_ttl_s}:{secrets.token_hex(6)}"
    password = _password(settings.turn_secret.get_secret_value(), name)
    return *settings.ice_servers, IceServer(urls=settings.turn_urls, username=name, credential=password)


def for_gateway(settings: MediaSettings, now: float) -> tuple[IceServer, ...]:
    """The servers that this service's own peers use: a shared-secret TURN server only where the operator says so."""
    if settings.turn_gateway or settings.relay_only:
        return for_client(settings, now)
    return settings.ice_servers


def _password(secret: str, name: str) -> str:
    digest = hmac.new(secret.encode(), name.encode(), hashlib.sha1).digest()  # SHA-1 is what the scheme says
    return base64.b64encode(digest).decode()
