"""Settings of the sessions."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

BargeIn = Literal["interrupt", "queue", "refuse"]
"""What a question does that comes while an answer runs."""


class SessionsSettings(BaseModel):
    """How sessions treat questions, and how long they live without media."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    barge_in: BargeIn = Field(
        default="interrupt",
        description="A question during an answer: interrupt it, queue behind it, or be refused. Publishers may choose.",
    )
    waiting_questions: int = Field(
        default=4, ge=1, le=64, description="Questions of one session that may wait with barge_in: queue."
    )
    question_chars: int = Field(
        default=1000,
        ge=16,
        le=20_000,
        description="Longest question taken, in characters. The model takes 512 tokens, about 2,000 English letters.",
    )
    idle_s: float = Field(
        default=60.0, gt=0, le=86_400, description="Seconds without any media after which a session is closed."
    )
    drain_s: float = Field(
        default=20.0, ge=0, le=600, description="Seconds that running answers have to finish when the server stops."
    )
