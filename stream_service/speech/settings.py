"""Settings of the speech stage: the ``speech`` section of a deployment's configuration."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stream_service.errors import InvalidConfig
from stream_service.speech.hints import SCENE_WORDS
from stream_service.types import TalkMode


class SpeechSettings(BaseModel):
    """When a voice becomes a question. The defaults were chosen on synthetic voices other than the test voice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: TalkMode = Field(
        default=TalkMode.HANDS_FREE, description="How a new session listens; a session can change it."
    )
    question: Literal["transcript", "speech"] = Field(
        default="transcript",
        description="What asks: the transcript of what was said, or the speech itself, which only a model that was "
        "trained on spoken questions understands (Qwen2.5-Omni and Qwen3-Omni were, nano was not); its transcript is "
        "then shown as soon as it is there.",
    )
    threshold: float = Field(default=0.4, gt=0, lt=1, description="Voice probability at which speech may begin.")
    release_threshold: float = Field(default=0.25, gt=0, lt=1, description="Probability below which a voice is silent.")
    min_speech_ms: int = Field(default=250, ge=32, le=2000, description="Voiced time before a sound counts as speech.")
    pre_roll_ms: int = Field(
        default=400,
        ge=0,
        le=1000,
        description="Audio kept from before the first voiced frame, so that no first sound is lost.",
    )
    tail_ms: int = Field(
        default=250,
        ge=32,
        le=1000,
        description="Silence kept after the last voiced frame; transcription starts with it.",
    )
    end_of_turn_ms: int = Field(
        default=550,
        ge=100,
        le=5000,
        description="Silence that ends a hands-free turn; the asker waits for all of it.",
    )
    release_grace_ms: int = Field(
        default=250,
        ge=0,
        le=1000,
        description="How long a still sounding voice is awaited after push-to-talk was released.",
    )
    max_utterance_s: float = Field(
        default=20.0, ge=1, le=30, description="Longer speech is not a question and is dropped."
    )
    min_words: int = Field(default=2, ge=1, le=10, description="A transcript with fewer words is not asked.")
    min_confidence: float = Field(
        default=0.3,
        ge=0,
        lt=1,
        description="Geometric mean of the token probabilities below which a transcript is not asked.",
    )
    hints: tuple[str, ...] = Field(
        default=SCENE_WORDS,
        max_length=500,
        description="Words to expect in questions: the search prefers them when unsure.",
    )
    hint_boost: float = Field(
        default=2.0, ge=0, le=6, description="Advantage of a hint, in nats a token; 0 turns hints off."
    )
    beam_width: int = Field(default=4, ge=1, le=16, description="Transcripts followed side by side while decoding.")
    workers: int = Field(default=1, ge=1, le=8, description="Transcriptions at the same time, one thread each.")
    max_pending: int = Field(
        default=8, ge=1, le=256, description="Utterances waiting for a worker before one is refused."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.release_threshold > self.threshold:
            raise ValueError("release_threshold must not be above threshold")
        if self.tail_ms > self.end_of_turn_ms:
            raise ValueError("tail_ms must not be longer than end_of_turn_ms")
        return self


def check_understood(settings: SpeechSettings, model: str, *, spoken_questions: bool) -> None:
    """Raises InvalidConfig where ``model`` would be asked by speech, which it does not understand."""
    if settings.mode is not TalkMode.OFF and settings.question == "speech" and not spoken_questions:
        raise InvalidConfig(
            f"speech.question is speech, but the model {model} was never trained on spoken questions.",
            field="speech.question",
            remedy="Set speech.question to transcript, or engine.model to a Qwen2.5-Omni or Qwen3-Omni checkpoint.",
        )
