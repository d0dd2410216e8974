"""What a deployment decides about its engine. Read by the gateway, so nothing here may import torch."""

from __future__ import annotations

import os
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

MOST_REFEED = 256
"""Windows of a session that the gateway keeps at most."""


class EngineSettings(BaseModel):
    """The ``engine`` section of a configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(
        default="nano",
        min_length=1,
        description="'nano' for the built-in model, the directory of a checkpoint, or its name on the Hugging Face hub",
    )
    revision: str | None = Field(
        default=None, min_length=1, description="branch, tag or commit of a hub model; unset: its main branch"
    )
    device: str = Field(
        default="cpu", pattern=r"^(cpu|cuda(:\d+)?)$", description="where the model runs: cpu, cuda or cuda:N"
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="number format of weights and caches; on a CPU float32 is the fastest"
    )
    frame_size: tuple[int, int] | None = Field(
        default=None,
        description="width and height of the camera's picture, whose shape frames take where the model prescribes none",
    )
    frame_tokens: int | None = Field(
        default=None,
        ge=1,
        le=768,
        description="pixel limit: most video tokens a second where the model prescribes no frame; unset: 144",
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="CPU threads of the model; unset: all cores but one, which media and speech need, and at most 4",
    )
    graphs: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="short passes in fixed shapes, as CUDA graphs; auto: on a GPU, but not for mixtures of experts",
    )
    still_change: float | None = Field(
        default=None,
        ge=0,
        le=255,
        description="a second of picture whose blocks change by at most so many levels of 255 is not encoded but takes "
        "the tokens of the one encoded before it; 0: only where all pixels are equal; unset: all are encoded",
    )

    budget: int = Field(
        default=2048,
        ge=64,
        le=1_048_576,
        description="audiovisual tokens that a session's memory holds before it evicts; a session may ask for fewer",
    )
    deep_share: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="mean share of the memory's tokens alive in the layers after the fusion depth",
    )
    schedule: Literal["sigmoid", "constant"] = Field(
        default="constant", description="how the drops are spread over the deep layers"
    )
    score: Literal["mean", "running_max"] = Field(
        default="running_max",
        description="importance of a token: the paper's mean (Eq. 5), or the maximum over layers so far",
    )
    diversity_weight: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="weight of temporal diversity against importance (the paper's lambda); 0: off",
    )
    fusion_depth: int | None = Field(
        default=None, ge=1, le=1024, description="layers run as windows arrive; unset: the model's own default"
    )

    max_answer_tokens: int = Field(default=96, ge=1, le=1024, description="an answer ends after this many tokens")
    answer_timeout_s: float = Field(
        default=30.0, gt=0, le=600, description="seconds from asking until an unfinished answer is cut off"
    )

    max_sessions: int = Field(default=8, ge=1, le=4096, description="sessions open at once; more are refused")
    max_load: float = Field(
        default=0.8, gt=0, le=1, description="share of real time that fusing may need before new sessions are refused"
    )
    window_queue: int = Field(
        default=32, ge=2, le=1024, description="windows of one session that may wait; past it the oldest is dropped"
    )
    question_queue: int = Field(
        default=4,
        ge=1,
        le=64,
        description="questions of one session that may wait behind the one being answered; a further one is refused",
    )
    late_share: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="share of engine time that windows past their deadline get while answers run",
    )
    batch_s: float = Field(
        default=0.25,
        gt=0,
        le=10,
        description="seconds that one batch of windows may take: what a question may have to wait for",
    )
    behind_s: float = Field(
        default=1.0, gt=0, le=60, description="lateness in seconds at which the next step of degradation is taken"
    )
    recover_s: float = Field(
        default=10.0, gt=0, le=600, description="seconds without lateness until a step is taken back"
    )

    refeed_windows: int | None = Field(
        default=None,
        ge=0,
        le=MOST_REFEED,
        description="latest windows of a session kept, packed, to rebuild its memory when the engine restarts; unset: "
        f"as many as its budget holds, at most {MOST_REFEED}",
    )
    standby: bool = Field(
        default=True,
        description="keep a second engine process that has its libraries loaded but no model (260 MB, none on a GPU), "
        "so that one that ends is replaced at once",
    )
    load_timeout_s: float = Field(default=300.0, gt=0, le=3600, description="seconds that loading the model may take")
    hang_s: float = Field(
        default=30.0,
        ge=1,
        le=600,
        description="seconds without a sign of life after which the engine process is replaced",
    )
    restart_backoff_s: float = Field(
        default=0.5,
        gt=0,
        le=60,
        description="a restart is immediate; this is the pause before the next when the new engine ends within a "
        "minute, doubled each time, up to 30 s",
    )

    def cpu_threads(self) -> int:
        """Threads of the model. A core short of all: threads that wait for a taken core cost more than they bring.

        Measured with nano on two cores, one of them busy: 28 ms a token with two threads, 6 ms with one.
        """
        return self.threads or min(4, max(1, len(os.sched_getaffinity(0)) - 1))
