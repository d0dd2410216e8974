"""What sets one model family apart from another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from pruner.families.prompt import Brackets
from pruner.families.stack import TextStack

__all__ = ["Audio", "Family", "Vision"]


class Vision(Protocol):
    """A vision encoder for frames of one shape.

    Attributes:
        height, width: pixels of a frame.
        rows, columns: tokens of a temporal patch.
    """

    height: int
    width: int
    rows: int
    columns: int
    dtype: torch.dtype
    device: torch.device

    def __call__(self, frames: Tensor) -> Tensor:
        """Tokens [B, T/2, rows * columns, hidden * (1 + deepstack)] of uint8 [B, T, height, width, 3] frames.

        The first `hidden` numbers of a token are what enters layer 0; the rest is what is added to it after each of
        the first layers.
        """
        ...

    def tokens(self, patches: Tensor) -> Tensor:
        """The same, [grids, rows * columns, …], of patches as the family's processor cuts them."""
        ...


class Audio(Protocol):
    """An audio encoder.

    Attributes:
        bins: mel bands.
        block_frames: mel frames that attend to each other in a recording.
    """

    bins: int
    block_frames: int
    device: torch.device

    def __call__(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [B, n, hidden] and saliency [B, n] of [B, bins, frames], at most `block_frames`."""
        ...


@dataclass(frozen=True)
class Family:
    """A model family.

    Attributes:
        model_types: of the configurations of whole models and of thinkers alone.
        thinker: transformers' class of the thinker.
        token_pixels: pixels along a side of a video token.
        interleave_seconds: see `ModelFacts`; None for the length of a window.
        shared_wrappers: see `ModelFacts`.
        brackets: special tokens around media.
        system: default system prompt.
        end: `<|im_end|>` in the published vocabulary, which ends an answer where a model's configuration does not say.
        deepstack: number of deepstack layers, from the vision encoder's configuration.
        stack: the decoder of a thinker; `own` as in `TextStack`.
        vision: the vision encoder of a thinker for `rows` x `columns` tokens.
        audio: the audio encoder of a thinker.
    """

    model_types: tuple[str, ...]
    thinker: str
    token_pixels: int
    interleave_seconds: int | None
    shared_wrappers: bool
    brackets: Brackets
    system: str
    end: int
    deepstack: Callable[[Mapping[str, Any]], int]
    stack: Callable[[Any, bool], TextStack]
    vision: Callable[[Any, int, int], Vision]
    audio: Callable[[Any], Audio]
