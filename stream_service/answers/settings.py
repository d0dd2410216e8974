"""Settings of the answers stage."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AnswersSettings(BaseModel):
    """How many events are kept, and how far a subscriber may fall behind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    history: int = Field(
        default=4096,
        ge=64,
        le=1_000_000,
        description="Events kept a session, so that a subscriber can resume after them.",
    )
    subscriber_queue: int = Field(
        default=256,
        ge=1,
        le=65_536,
        description="Live events that may wait for one slow subscriber before it is closed (1013).",
    )
    closed_sessions: int = Field(
        default=32, ge=0, le=4096, description="Closed sessions whose events can still be read, the most recent ones."
    )
