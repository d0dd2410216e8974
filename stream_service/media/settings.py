"""What a deployment may say about ingest."""

from __future__ import annotations

import ipaddress
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from stream_service.types import Fit


class IceServer(BaseModel):
    """A STUN or TURN server, also handed to browsers by ``GET /v1/info``. The first of each kind is used for ingest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    urls: tuple[str, ...] = Field(min_length=1, description="stun:, turn: or turns: URLs.")
    username: str | None = Field(default=None, description="TURN user name.")
    credential: str | None = Field(default=None, description="TURN password.")

    @field_validator("urls")
    @classmethod
    def _scheme(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        return _with_scheme(urls, "stun:", "turn:", "turns:")

    @property
    def relays(self) -> bool:
        """Whether it is a TURN server."""
        return any(url.startswith("turn") for url in self.urls)


def _with_scheme(urls: tuple[str, ...], *schemes: str) -> tuple[str, ...]:
    for url in urls:
        if not url.startswith(schemes):
            raise ValueError(f"{url!r} does not begin with {' or '.join(schemes)}")
    return urls


class MediaSettings(BaseModel):
    """Ingest over WHIP: what is accepted, by which addresses, and when a source counts as lost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fit: Fit = Field(default="crop", description="crop: the centre of the picture; letterbox: all of it on black.")
    max_sdp_bytes: int = Field(default=64_000, ge=2_000, le=1_000_000, description="Largest offer or fragment taken.")
    max_video_kbps: int = Field(
        default=2_000, ge=100, le=50_000, description="Bit rate asked of the camera (b=AS in the answer)."
    )
    max_pixels: int = Field(
        default=8_847_360,
        ge=25_344,
        le=132_710_400,
        description="Largest picture used, in pixels (4096 x 2160); larger ones are dropped.",
    )
    max_fps: float = Field(
        default=120.0, ge=2, le=1000, description="Pictures a second that are used; more are dropped."
    )
    ice_servers: tuple[IceServer, ...] = Field(
        default=(), description="STUN and TURN servers; none on a local network."
    )
    turn_urls: tuple[str, ...] = Field(
        default=(), description="turn: or turns: URLs of a TURN server that shares turn_secret with this service."
    )
    turn_secret: SecretStr | None = Field(
        default=None, description="coturn's static-auth-secret; clients get credentials of their own made from it."
    )
    turn_ttl_s: int = Field(
        default=3_600, ge=60, le=604_800, description="Seconds for which such credentials open a relay."
    )
    turn_gateway: bool = Field(
        default=False,
        description="Receive through the TURN server too: where not even it reaches this host by UDP.",
    )
    relay_only: bool = Field(
        default=False, description="Receive through the TURN server only: this host's addresses are not told."
    )
    bind: tuple[str, ...] = Field(
        default=(), description="Addresses to receive media at; empty: all of this host (loopback if it has no other)."
    )
    public_ip: str | None = Field(
        default=None, description="Address to announce beside this host's own, when it sits behind one-to-one NAT."
    )
    udp_ports: tuple[int, int] | None = Field(
        default=None,
        description="First and last UDP port to receive media at, one a source and address; null: any. "
        "A container publishes them, and a firewall opens them.",
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

    @field_validator("turn_urls")
    @classmethod
    def _turn_scheme(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        return _with_scheme(urls, "turn:", "turns:")

    @field_validator("udp_ports")
    @classmethod
    def _range(cls, ports: tuple[int, int] | None) -> tuple[int, int] | None:
        if ports is not None and not 1_024 <= ports[0] <= ports[1] <= 65_535:
            raise ValueError("first and last port, from 1024 to 65535, are expected")
        return ports

    @model_validator(mode="after")
    def _turn_is_whole(self) -> Self:
        if bool(self.turn_urls) is not (self.turn_secret is not None):
            raise ValueError("turn_urls and turn_secret belong together (fixed credentials: ice_servers)")
        if self.relay_only and not (self.turn_urls or any(server.relays for server in self.ice_servers)):
            raise ValueError("relay_only needs a TURN server: turn_urls, or one in ice_servers")
        return self
