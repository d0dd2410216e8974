"""Settings of the MQTT bridge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

Prefix = Annotated[str, StringConstraints(max_length=128, pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9._-]+)*$")]


class MqttSettings(BaseModel):
    """Which broker gets the events, and under which topics."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str | None = Field(default=None, min_length=1, description="The broker's host; null: no MQTT.")
    port: int = Field(default=1883, ge=1, le=65_535, description="Its port; 8883 is usual with TLS.")
    prefix: Prefix = Field(
        default="omnidrop", description="First part of every topic; servers that share a broker need different ones."
    )
    username: str | None = Field(default=None, description="User name at the broker.")
    password: SecretStr | None = Field(
        default=None, description="Password; better set as OMNIDROP_MQTT__PASSWORD than written here."
    )
    client_id: str | None = Field(
        default=None,
        max_length=128,
        description="Client id, where the broker's access list names it; null: any.",
    )
    tls: bool = Field(default=False, description="Connect with TLS.")
    ca_file: Path | None = Field(
        default=None, description="Certificates to trust (PEM) instead of the system's, for a broker with its own."
    )
    cert_file: Path | None = Field(default=None, description="Client certificate (PEM), where the broker asks for one.")
    key_file: Path | None = Field(default=None, description="Its private key (PEM), unless cert_file holds it.")
    home_assistant: str | None = Field(
        default=None,
        min_length=1,
        description="Home Assistant's discovery prefix (its default is homeassistant): named sessions appear there; "
        "null: off.",
    )
