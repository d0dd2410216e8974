"""Bearer tokens: who holds one, and what it lets them do. Only SHA-256 digests of them are kept.

A token is random and long (``omnidrop token`` makes one of 256 bits), so a plain digest is enough: there is nothing to
guess that a slow hash would protect.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stream_service.errors import StartupError

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,512}")
_DIGEST_PREFIX = "sha256:"


class Scope(StrEnum):
    """What a client may do; ``admin`` includes the others."""

    PUBLISH = "publish"
    ASK = "ask"
    SUBSCRIBE = "subscribe"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Client:
    """Who sends a request. ``name`` is no secret: it owns sessions, counts against limits and stands in log lines."""

    name: str
    scopes: frozenset[Scope]

    def may(self, scope: Scope | None) -> bool:
        """Whether it has ``scope``; every client has None."""
        return scope is None or scope in self.scopes or Scope.ADMIN in self.scopes


LOCAL = Client("local", frozenset(Scope))
"""Everyone, on a server without tokens: it answers to this machine only."""


def fresh() -> str:
    """A new token of 256 bits."""
    return secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """SHA-256 of a token, in hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()


class AccessToken(BaseModel):
    """One accepted token. Written as a string (every scope), or with its scopes and a name; kept as its digest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the token; 'token' may be given instead.")
    scopes: tuple[Scope, ...] = Field(
        default=tuple(Scope), min_length=1, description="What its holder may do: publish, ask, subscribe, admin."
    )
    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="Who holds it. Two tokens of one name are one client, so that a token can be replaced in peace.",
    )

    @model_validator(mode="before")
    @classmethod
    def _digested(cls, value: object) -> object:
        """Accept a plain token or ``sha256:…``, alone or under ``token``; it does not leave this function."""
        if isinstance(value, cls):
            return value
        fields: dict[str, Any] = dict(value) if isinstance(value, dict) else {"token": value}
        if "token" not in fields:
            return fields
        token = fields.pop("token")
        if isinstance(token, str) and token.startswith(_DIGEST_PREFIX):
            return fields | {"sha256": token.removeprefix(_DIGEST_PREFIX)}
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise ValueError("a token has 16 to 512 letters, digits and ._~+/=- (make one with 'omnidrop token')")
        return fields | {"sha256": digest_of(token)}

    @property
    def client(self) -> Client:
        """Its holder."""
        return Client(self.name or f"token-{self.sha256[:8]}", frozenset(self.scopes))


def read_file(path: Path) -> tuple[AccessToken, ...]:
    """The tokens in a file of lines ``TOKEN [SCOPE,SCOPE… [NAME]]``; ``#`` begins a comment.

    TOKEN is the token itself or ``sha256:`` and its digest. Raises StartupError, which never quotes the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise StartupError(
            f"Cannot read the tokens in {path}: {reason}.",
            field="server.tokens_file",
            remedy="Name a readable file, one token a line ('omnidrop token' prints one).",
        ) from None
    tokens = []
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if words:
            tokens.append(_read_line(words, f"{path}, line {number}"))
    return tuple(tokens)


def _read_line(words: list[str], where: str) -> AccessToken:
    fields: dict[str, Any] = dict(zip(("token", "scopes", "name"), words, strict=False))
    if "scopes" in fields:
        fields["scopes"] = fields["scopes"].split(",")
    try:
        if len(words) > 3:
            raise ValueError
        return AccessToken.model_validate(fields)
    except ValueError as error:
        wrong = [str(part) for part in error.errors()[0]["loc"]] if isinstance(error, ValidationError) else []
        raise StartupError(
            f"{where}: not a token line{f' ({wrong[0]})' if wrong else ''}.",
            field="server.tokens_file",
            remedy="Write TOKEN [SCOPES [NAME]], with scopes of publish,ask,subscribe,admin.",
        ) from None


class Keyring:
    """Recognises tokens by their digests."""

    def __init__(self, tokens: Iterable[AccessToken]) -> None:
        self._known = [(token.sha256.encode(), token.client) for token in tokens]

    def __len__(self) -> int:
        return len(self._known)

    def recognise(self, token: str) -> Client | None:
        """Its holder. Every digest is compared, so that the time taken tells nothing about which one came close."""
        presented = digest_of(token).encode()
        holders = [client for known, client in self._known if hmac.compare_digest(presented, known)]
        return holders[0] if holders else None
