"""Settings of the answers stage."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AnswersSettings(BaseModel):
    """How many events are kept, and how far a subscriber may fall behind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    log: str = Field(
        default="sqlite:///data/events.db",
        description="Where events are kept: sqlite:///PATH (three slashes before a relative path), "
        "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE, or memory, which a restart empties.",
    )
    keep_days: float = Field(
        default=30.0, gt=0, le=36_500, description="Days after which an event leaves a log that is not in memory."
    )
    keep_mb: int = Field(
        default=1024, ge=1, le=1_000_000, description="Megabytes above which the oldest events leave such a log."
    )
    history: int = Field(
        default=4096,
        ge=64,
        le=1_000_000,
        description="Events of a living session in memory; with log: memory, all that a subscriber can resume from.",
    )
    subscriber_queue: int = Field(
        default=256,
        ge=1,
        le=65_536,
        description="Live events that may wait for one slow subscriber before it is closed (1013).",
    )
    closed_sessions: int = Field(
        default=32, ge=0, le=4096, description="With log: memory: closed sessions whose events can still be read."
    )
