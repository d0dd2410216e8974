"""Settings of the HTTP server."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Token = Annotated[str, StringConstraints(min_length=16, max_length=512, pattern=r"^[A-Za-z0-9._~+/=-]+$")]


class ServerSettings(BaseModel):
    """Where the server listens, and whom it serves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(
        default="127.0.0.1", description="Address to listen on. Beyond this machine only with tokens (below)."
    )
    port: int = Field(default=8080, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    tokens: tuple[Token, ...] = Field(
        default=(), description="Bearer tokens that are accepted; empty: no authentication, local clients only."
    )
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
    ping_s: float = Field(
        default=20.0,
        gt=0,
        le=600,
        description="Seconds between pings on the answer WebSocket, and for the pong.",
    )
