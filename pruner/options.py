"""What can be chosen about a live model and about a single answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pruner.errors import InputError, ScheduleError
from pruner.eviction import EvictionRule
from pruner.guidance import Score
from pruner.importance import Diversity
from pruner.question import LONGEST_SPEECH_S
from pruner.schedule import TOLERANCE, Constant, Schedule, Sigmoid, live, reachable, solve

__all__ = ["LiveOptions", "TurnOptions"]

_MANY = 1_000_000
"""Tokens on which the rounding of counts no longer shows."""


@dataclass(frozen=True)
class TurnOptions:
    """How a question is answered.

    Attributes:
        deep_share: mean share of the stored audiovisual tokens that enters layers F…L-1, in (0, 1]; 1 drops nothing.
            What a schedule cannot reach on the tokens at hand is met as nearly as possible; `check` refuses what it
            can never reach.
        retention: the paper's figure instead: layer mean relative to raw tokens; exactly met or refused.
        schedule: form of the ratio per layer.
        score: see `pruner.guidance.Score`.
        diversity_weight: lambda of temporal diversity on scores relative to their maximum; 0 for none.
        max_tokens: bound of the answer; None for the model's own.
        floor: audiovisual tokens below which a layer drops nothing.
    """

    deep_share: float = 0.3
    retention: float | None = None
    schedule: Literal["sigmoid", "constant"] = "constant"
    score: Score = "running_max"
    diversity_weight: float = 0.0
    max_tokens: int | None = None
    floor: int = 0

    def __post_init__(self) -> None:
        for name in ("deep_share", "retention"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise InputError(name, f"{value} is outside (0, 1]", "give a share, such as 0.3")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise InputError("max_tokens", f"{self.max_tokens} is below 1", "leave room for an answer")
        if self.diversity_weight < 0 or self.floor < 0:
            raise InputError("diversity_weight and floor", "must not be negative", "use 0 to turn them off")

    @property
    def diversity(self) -> Diversity | None:
        """Temporal diversity, or None where its weight is 0."""
        return Diversity(self.diversity_weight, normalise="max") if self.diversity_weight else None

    def form(self, layers: int, depth: int) -> Schedule:
        """The schedule's form, its ratio not yet solved for."""
        return live(layers, depth, Constant() if self.schedule == "constant" else Sigmoid(), floor=self.floor)

    def solved(self, layers: int, depth: int, count: int, raw: int) -> Schedule:
        """The schedule for `count` stored tokens that stand for `raw` ones.

        Raises:
            ScheduleError: `retention` cannot be reached with these counts.
        """
        form = self.form(layers, depth)
        if self.retention is not None:
            return solve(form, self.retention, count, raw, "retention")
        low, high = reachable(form, count, raw, "deep_share")
        return solve(form, min(max(self.deep_share, low), high), count, raw, "deep_share")

    def check(self, layers: int, depth: int) -> None:
        """Refuses a deep share that the schedule's form does not reach whatever the number of tokens.

        Raises:
            ScheduleError: with the reachable range.
        """
        low, high = reachable(self.form(layers, depth), _MANY, _MANY, "deep_share")
        if self.retention is None and not low - TOLERANCE <= self.deep_share <= high + TOLERANCE:
            raise ScheduleError(self.deep_share, (low, high), "deep_share")


@dataclass(frozen=True)
class LiveOptions:
    """How conversations are kept.

    Attributes:
        fusion_depth: layers run as the stream flows; None for the model's own.
        frame_size: height and width of the source's frames, where the model does not prescribe one.
        frame_tokens: most video tokens a second, where the model does not prescribe a frame; None for 144.
        max_text_tokens: rows a store keeps beside audiovisual ones; the oldest turns' text leaves when it is exceeded.
        max_question_tokens: longest question in words.
        max_speech_s: longest spoken question; each second of it counts 25 rows (Qwen3-Omni: 13) of `max_text_tokens`.
        turn: options of questions that bring none.
        graphs: "on" runs short passes in fixed shapes, on a GPU as CUDA graphs, so that the host launches one thing a
            pass (see `pruner.fixed`); "off" runs them in the shapes they have; "auto" is "on" on a GPU, but for the
            decoder of a mixture of experts.
        eviction: how tokens leave a full store.
        still_change: levels of 255 up to which a second of picture may differ from the one encoded before it and take
            its tokens unencoded (see `pruner.stillness`), in [0, 255]; 0: only where all pixels are equal; None:
            everything is encoded.
    """

    fusion_depth: int | None = None
    frame_size: tuple[int, int] | None = None
    frame_tokens: int | None = None
    max_text_tokens: int = 2048
    max_question_tokens: int = 512
    max_speech_s: float = LONGEST_SPEECH_S
    turn: TurnOptions = field(default_factory=TurnOptions)
    graphs: Literal["auto", "on", "off"] = "auto"
    eviction: EvictionRule = field(default_factory=EvictionRule)
    still_change: float | None = None

    def __post_init__(self) -> None:
        if self.still_change is not None and not 0 <= self.still_change <= 255:
            raise InputError(
                "still_change", f"{self.still_change} is outside [0, 255]", "use None to encode everything"
            )
