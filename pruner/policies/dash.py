"""DASH: boundaries in the sound cut the clip into segments, which share the picture out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from pruner.guidance import LayerPruner
from pruner.policies.base import Asked, RankedPruner, Selection, apportion, raw_tokens
from pruner.policies.omnizip import audio_discard, split_audio
from pruner.policies.similarity import rescaled, tokens_of_patches
from pruner.windows import EncodedWindow

__all__ = ["Dash", "boundaries"]

CHANGE = 0.4
SHORTEST = 30


def boundaries(audio: Tensor) -> list[int]:
    """First tokens of the segments of a clip's audio [n, dim], n at least 1; the first is 0.

    A segment begins where a token's cosine similarity to the one before is below 0.4, unless the segment before it
    would be shorter than 30 tokens.
    """
    likeness = cosine_similarity(audio[1:].float(), audio[:-1].float(), dim=-1)
    starts = [0]
    for index in ((likeness < CHANGE).nonzero().flatten() + 1).tolist():
        if index - starts[-1] >= SHORTEST and len(audio) - index >= SHORTEST:
            starts.append(index)
    return starts


class Dash:
    """Everything happens at the input.

    * Audio: tokens are scored by 0.4 boundary (change against the token before) + 0.3 distinctiveness (distance from
      their segment's mean) + 0.3 encoder attention, each stretched to [0, 1]; the best of the whole clip stay.
    * Video: patches belong to the audio segment sounding at their time. A segment discards
      `rho_v + 0.1 * (0.5 - its audio retention)` within [0.1, 0.95]; patches are thinned as OmniZip does, and what the
      clamp leaves over is shared out in proportion.

    The audio discard rate, which the description leaves open, is OmniZip's. A clip without sound is one segment.

    Args:
        retention: share of all tokens to keep.
    """

    name = "dash"
    ahead = False

    def __init__(self, retention: float) -> None:
        self.retention = retention

    def compress(self, windows: Sequence[EncodedWindow]) -> list[Selection]:
        """See the class."""
        index, starts, total = self._hear(windows)
        budget = max(round(self.retention * raw_tokens(windows)) - len(index), 0)
        edges = np.asarray([*starts, total])
        kept = np.histogram(index.cpu().numpy(), edges)[0] / np.maximum(np.diff(edges), 1)
        pictures = [window.video for window in windows if window.video is not None]
        shares = iter(
            _thin([size for video in pictures for size in [video.shape[1]] * len(video)], edges, kept, budget)
        )
        chosen = []
        for window, audio in zip(windows, split_audio(windows, index), strict=True):
            seen = torch.zeros(0, dtype=torch.int64)
            if window.video is not None:
                seen = tokens_of_patches(window.video, [next(shares) for _ in window.video])
            chosen.append(Selection(seen, audio))
        return chosen

    def prune(self, asked: Asked) -> LayerPruner:
        """Nothing more."""
        return RankedPruner((0,) * asked.layers, asked)

    def _hear(self, windows: Sequence[EncodedWindow]) -> tuple[Tensor, list[int], int]:
        """Audio tokens of the clip that stay, where its segments begin, and how many tokens there are."""
        sound = [window.audio for window in windows if window.audio is not None]
        if not sound:
            return torch.zeros(0, dtype=torch.int64), [0], 1
        tokens = torch.cat(sound).float()
        starts = boundaries(tokens)
        change = torch.zeros(len(tokens), device=tokens.device)
        change[1:] = 1 - cosine_similarity(tokens[1:], tokens[:-1], dim=-1)
        distinct = torch.cat(
            [
                1 - cosine_similarity(part, part.mean(dim=0, keepdim=True), dim=-1)
                for part in tokens.tensor_split(starts[1:])
            ]
        )
        attention = torch.cat([window.saliency for window in windows if window.saliency is not None]).float()
        score = 0.4 * rescaled(change) + 0.3 * rescaled(distinct) + 0.3 * rescaled(attention)
        count = round((1 - audio_discard(self.retention)) * len(tokens))
        return score.sort(descending=True, stable=True).indices[:count].sort().values, starts, len(tokens)


def _thin(sizes: list[int], edges: npt.NDArray[np.int64], kept: npt.NDArray[np.float64], budget: int) -> list[int]:
    """Tokens that each of the clip's patches keeps.

    Args:
        sizes: tokens of each patch.
        edges: first audio token of each segment, and the number of audio tokens.
        kept: audio retention of each segment.
        budget: video tokens to keep in all.
    """
    weight = np.asarray(sizes, dtype=np.float64)
    middle = (np.arange(len(sizes)) + 0.5) * edges[-1] / max(len(sizes), 1)
    segment = np.searchsorted(edges[1:-1], middle, side="right")
    discard = 1 - budget / max(weight.sum(), 1.0) + 0.1 * (0.5 - kept[segment])
    return [int(count) for count in apportion((1 - np.clip(discard, 0.1, 0.95)) * weight, sizes, budget)]
