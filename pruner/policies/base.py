"""What a pruning method declares, so that one decoder runs them all.

A policy acts twice: on the towers' tokens before the decoder (`compress`), and after decoder layers (`prune`, whose
counts are known before the pass begins). Everything that is reported about it follows from the counts it really used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pruner.compress import AUDIO_KEEP, VIDEO_KEEP, MergeState, keep_audio, keep_video
from pruner.flops import DecoderShape, Flops, prefill_flops
from pruner.guidance import LayerPruner
from pruner.importance import drop_lowest, mean_importance
from pruner.windows import EncodedWindow

__all__ = [
    "Asked",
    "Policy",
    "RankedPruner",
    "Selection",
    "Spending",
    "apportion",
    "intra_modality",
    "layers_ahead",
    "raw_tokens",
    "segment_starts",
    "spending",
    "whole",
]


@dataclass(frozen=True)
class Selection:
    """The tokens of one window that enter the decoder.

    Attributes:
        video: int64 [v], ascending, into the window's flattened `patches * per_patch` video tokens.
        audio: int64 [a], ascending, into its audio tokens.
        merged: [a, dim], embeddings that replace those of the audio tokens kept; None to leave them as they are.
    """

    video: Tensor
    audio: Tensor
    merged: Tensor | None = None

    @property
    def total(self) -> int:
        """Tokens of both modalities."""
        return len(self.video) + len(self.audio)


@dataclass(frozen=True)
class Asked:
    """What is known when a question arrives.

    Attributes:
        layers: decoder layers L.
        raw: audiovisual tokens before `compress`.
        chunk: int64 [n] on the device, window of each audiovisual token in the sequence, ascending.
        modality: int64 [n] on the device, a `pruner.tokens.Modality`.
        question: of the asking rows, how many are the question; the assistant's header follows.
    """

    layers: int
    raw: int
    chunk: Tensor
    modality: Tensor
    question: int

    @property
    def count(self) -> int:
        """Audiovisual tokens that enter layer 0."""
        return len(self.chunk)


class Policy(Protocol):
    """A pruning method at one retention."""

    @property
    def name(self) -> str:
        """What it is called in tables and on the command line."""
        ...

    @property
    def ahead(self) -> bool:
        """Whether it can work window by window before the question, or needs the whole clip."""
        ...

    def compress(self, windows: Sequence[EncodedWindow]) -> list[Selection]:
        """What of each window enters layer 0, windows in order of time."""
        ...

    def prune(self, asked: Asked) -> LayerPruner:
        """Who drops what after which layer."""
        ...


@dataclass(frozen=True)
class Spending:
    """What a policy used on one question.

    Attributes:
        retention: layer mean of audiovisual tokens relative to raw ones.
        flops: of the decoder.
    """

    retention: float
    flops: Flops


def layers_ahead(policy: Policy, pruner: LayerPruner) -> int:
    """How many of the first layers do not depend on the question, and so can run before it: none for a policy that
    needs the whole clip, else those up to the first drop."""
    if not policy.ahead:
        return 0
    return next((layer + 1 for layer, drop in enumerate(pruner.drops) if drop), len(pruner.drops))


def spending(
    shape: DecoderShape,
    policy: Policy,
    pruner: LayerPruner,
    *,
    count: int,
    raw: int,
    text: int,
    question: int,
    stored: int | None = None,
) -> Spending:
    """Figures from the real counts.

    Args:
        pruner: what `policy.prune` returned.
        count, raw: audiovisual tokens entering layer 0, and before compression.
        text, question: see `pruner.flops.prefill_flops`.
        stored: layers whose keys and values are kept between questions; None for all that `layers_ahead` allows.
    """
    alive = [count, *(count - np.cumsum(pruner.drops)[:-1]).tolist()]
    ahead = layers_ahead(policy, pruner)
    ahead = ahead if stored is None else min(ahead, stored)
    flops = prefill_flops(shape, alive, text=text, question=question, ahead=ahead)
    return Spending(sum(alive) / (len(alive) * raw) if raw else 0.0, flops)


class RankedPruner:
    """Drops the lowest scores; what most policies refine.

    Args:
        drops: tokens dropped after each layer.
        asked: see `Asked`.

    Attributes:
        chunk, modality: of the tokens alive.
    """

    def __init__(self, drops: tuple[int, ...], asked: Asked) -> None:
        self.drops = drops
        self.chunk, self.modality = asked.chunk, asked.modality
        self._question = asked.question
        self._scores = torch.zeros(len(asked.chunk), device=asked.chunk.device)

    def score(self, layer: int, attention: Tensor) -> Tensor:
        """[alive]; by default the paper's mean over heads and question rows."""
        return mean_importance(attention[:, : self._question])

    def choose(self, layer: int, scores: Tensor) -> Tensor:
        """int64 [alive - drops[layer]], ascending; by default the highest scores."""
        return drop_lowest(scores, self.drops[layer])

    def observe(self, layer: int, attention: Tensor) -> None:
        """See `LayerPruner`."""
        if self.drops[layer]:
            self._scores = self.score(layer, attention)

    def select(self, layer: int) -> Tensor:
        """See `LayerPruner`."""
        kept = self.choose(layer, self._scores)
        self.chunk, self.modality, self._scores = self.chunk[kept], self.modality[kept], self._scores[kept]
        return kept


def raw_tokens(windows: Sequence[EncodedWindow]) -> int:
    """Audiovisual tokens of windows before compression."""
    return sum(window.seen.total for window in windows)


def whole(window: EncodedWindow) -> Selection:
    """Everything."""
    return Selection(torch.arange(window.seen.video), torch.arange(window.seen.audio))


def segment_starts(windows: Sequence[EncodedWindow]) -> list[bool]:
    """Which windows begin a segment, so that groups of patches restart: as in a live conversation, the first one, one
    after lost media or a change of tracks, and one after a window cut short."""
    usual = max((window.seconds for window in windows), default=0)
    starts = [True]
    for before, window in pairwise(windows):
        tracks = [(one.video is None, one.audio is None) for one in (before, window)]
        starts.append(window.new_segment or tracks[0] != tracks[1] or before.seconds < usual)
    return starts[: len(windows)]


def intra_modality(
    windows: Sequence[EncodedWindow], *, video: float = VIDEO_KEEP, audio: float = AUDIO_KEEP
) -> list[Selection]:
    """The paper's compression within each modality."""
    chosen: list[Selection] = []
    state: MergeState | None = None
    for window, starts in zip(windows, segment_starts(windows), strict=True):
        selection = whole(window)
        seen, heard = selection.video, selection.audio
        if window.video is not None:
            seen, state = keep_video(window.video, None if starts else state, video)
        if window.saliency is not None:
            heard = keep_audio(window.saliency, audio)
        chosen.append(Selection(seen, heard))
    return chosen


def apportion(weight: npt.ArrayLike, cap: npt.ArrayLike, total: int) -> npt.NDArray[np.int64]:
    """Shares `total` out by weight, in whole numbers, none above its cap.

    Largest remainders; what a cap cuts off goes to the others by their weights. Ties favour the first.

    Args:
        weight: [n], not negative.
        cap: int [n].

    Returns:
        int64 [n], summing to `min(total, sum(cap))`.
    """
    weights = np.maximum(np.asarray(weight, dtype=np.float64), 1e-12)
    caps = np.asarray(cap, dtype=np.int64)
    share = np.zeros(len(caps), dtype=np.int64)
    left = min(total, int(caps.sum()))
    while left > 0:
        open_ = share < caps
        ideal = np.where(open_, weights, 0.0)
        ideal *= left / ideal.sum()
        add = np.minimum(np.floor(ideal).astype(np.int64), caps - share)
        if not add.any():
            order = np.argsort(-(ideal - np.floor(ideal)) * open_, kind="stable")
            add[[index for index in order if open_[index]][:left]] = 1
        share += add
        left -= int(add.sum())
    return share
