"""Settings of the HTTP server."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stream_service.api.tokens import AccessToken
from stream_service.logs import LogFormat


class ServerSettings(BaseModel):
    """Where the server listens, and whom it serves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(
        default="127.0.0.1", description="Address to listen on. Beyond this machine only with tokens (below)."
    )
    port: int = Field(default=8080, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    tokens: tuple[AccessToken, ...] = Field(
        default=(),
        description="Bearer tokens that are accepted, each as itself or sha256:DIGEST, or as {token, scopes, name}, "
        "scopes being of publish, ask, subscribe and admin. Without any: no authentication, local clients only.",
    )
    tokens_file: Path | None = Field(
        default=None, description="File of further tokens, a line each: TOKEN [SCOPE,SCOPE [NAME]]."
    )
    tls_certificate: Path | None = Field(
        default=None, description="Certificate chain (PEM) to serve HTTPS with; browsers lend the camera only to it."
    )
    tls_key: Path | None = Field(default=None, description="Private key (PEM) of the certificate.")
    allowed_origins: tuple[str, ...] = Field(
        default=(),
        description="Other origins whose pages may use this server, such as https://example.org.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(),
        description="Without tokens: further Host names to answer to, beside localhost and loopback addresses.",
    )
    max_body_bytes: int = Field(
        default=262_144, ge=4096, le=16_777_216, description="Largest request body that is read, in bytes."
    )
    client_sessions: int = Field(default=8, ge=1, le=4096, description="Sessions that one client may have open.")
    client_questions_per_minute: int = Field(
        default=60, ge=1, le=6000, description="Questions that one client may send in a minute, beside spoken ones."
    )
    client_sockets: int = Field(
        default=2048, ge=1, le=65_536, description="Answer WebSockets that one client may have open."
    )
    log_format: LogFormat = Field(
        default="text", description="Log lines on standard error: text for people, json for a log collector."
    )
    ping_s: float = Field(
        default=20.0,
        gt=0,
        le=600,
        description="Seconds between pings on the answer WebSocket, and for the pong.",
    )

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_certificate is None) is not (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together")
        return self

    @property
    def scheme(self) -> str:
        """``https`` with a certificate, else ``http``."""
        return "http" if self.tls_certificate is None else "https"

    @property
    def guarded(self) -> bool:
        """Whether clients need a token."""
        return bool(self.tokens) or self.tokens_file is not None
