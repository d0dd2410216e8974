"""What a deployment may say about ingest."""

from __future__ import annotations

import ipaddress
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Fit = Literal["crop", "letterbox"]
"""How a picture of another shape is brought to the model's: its centre, or all of it on black."""


class IceServer(BaseModel):
    """A STUN or TURN server, also handed to browsers by ``GET /v1/info``. The first of each kind is used for ingest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    urls: tuple[str, ...] = Field(min_length=1, description="stun:, turn: or turns: URLs.")
    username: str | None = Field(default=None, description="TURN user name.")
    credential: str | None = Field(default=None, description="TURN password.")

    @field_validator("urls")
    @classmethod
    def _scheme(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if not url.startswith(("stun:", "turn:", "turns:")):
                raise ValueError(f"{url!r} is not a stun:, turn: or turns: URL")
        return urls


class MediaSettings(BaseModel):
    """Ingest over WHIP: what is accepted, by which addresses, and when a source counts as lost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fit: Fit = Field(default="crop", description="crop: the centre of the picture; letterbox: all of it on black.")
    max_sdp_bytes: int = Field(default=64_000, ge=2_000, le=1_000_000, description="Largest offer or fragment taken.")
    max_video_kbps: int = Field(
        default=2_000, ge=100, le=50_000, description="Bit rate asked of the camera (b=AS in the answer)."
    )
    ice_servers: tuple[IceServer, ...] = Field(
        default=(), description="STUN and TURN servers; none on a local network."
    )
    relay_only: bool = Field(default=False, description="Use only the TURN server's addresses.")
    bind: tuple[str, ...] = Field(
        default=(), description="Addresses to receive media at; empty: all of this host (loopback if it has no other)."
    )
    public_ip: str | None = Field(
        default=None, description="Address to announce beside this host's own, when it sits behind one-to-one NAT."
    )
    connect_s: float = Field(
        default=15.0, gt=0, le=120, description="A source without media this long after its offer is lost."
    )
    silence_s: float = Field(default=3.0, gt=0, le=120, description="A source without any media for this long is lost.")
    grace_s: float = Field(
        default=30.0, ge=0, le=3_600, description="How long a session waits for a lost source to come back."
    )

    @field_validator("bind", "public_ip")
    @classmethod
    def _address(cls, value: tuple[str, ...] | str | None) -> tuple[str, ...] | str | None:
        for address in (value,) if isinstance(value, str) else value or ():
            ipaddress.ip_address(address)
        return value
