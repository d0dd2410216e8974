"""What a deployment may say about windows; their length and frame rate belong to the model family and are fixed."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class WindowSettings(BaseModel):
    """How long to wait for a late track, and when to stop speaking of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    patience_s: float = Field(
        default=0.75,
        ge=0.05,
        le=5.0,
        description="Stream seconds that one track may run ahead of the other before a window closes without it.",
    )
    stale_s: float = Field(
        default=5.0,
        ge=1.0,
        le=60.0,
        description="A track silent for this long leaves the windows (no repeated picture, no zeros) until it returns.",
    )
    min_cut_s: float = Field(
        default=0.1,
        ge=0.0,
        le=1.0,
        description="A question that finds less new media than this closes no window of its own.",
    )
