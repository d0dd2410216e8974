"""OmniZip: sound decides how much of the picture is kept; everything happens at the input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from pruner.guidance import LayerPruner
from pruner.policies.base import Asked, RankedPruner, Selection, apportion, raw_tokens
from pruner.policies.similarity import tokens_of_patches
from pruner.windows import EncodedWindow

__all__ = ["OmniZip", "audio_discard", "split_audio"]

ANCHORS = 0.05
MEMBERS = 3


def audio_discard(retention: float) -> float:
    """Share of the audio tokens to discard: through the published pairs (45 %, 0.3) and (35 %, 0.4)."""
    return min(max(0.75 - retention, 0.0), 0.9)


def split_audio(windows: Sequence[EncodedWindow], index: Tensor) -> list[Tensor]:
    """Ascending indices into all windows' audio tokens, as indices into each window's."""
    sizes = [window.seen.audio for window in windows]
    chosen = torch.zeros(sum(sizes), dtype=torch.bool)
    chosen[index.cpu()] = True
    return [part.nonzero().flatten() for part in torch.split(chosen, sizes)]


class OmniZip:
    """Audio by attention, the rest merged into few anchors; video by each chunk's audio retention.

    * Audio: of the whole clip's tokens the share `1 - rho_a` with the highest encoder attention stays. Of the others
      every twentieth is an anchor and stays too; the remaining ones join the nearest anchor by cosine similarity, and
      the three of each anchor that are closest to any video token are averaged into it.
    * Video: a chunk discards `0.75 - 0.40 * (its audio retention)` within [0.35, 0.75], rescaled to the clip's
      budget; even patches keep density peaks, odd patches what changed.

    Args:
        retention: share of all tokens to keep.
    """

    name = "omnizip"
    ahead = False

    def __init__(self, retention: float) -> None:
        self.retention = retention

    def compress(self, windows: Sequence[EncodedWindow]) -> list[Selection]:
        """See the class."""
        index, merged = self._hear(windows)
        heard = split_audio(windows, index)
        budget = max(round(self.retention * raw_tokens(windows)) - len(index), 0)
        sizes = np.asarray([window.seen.video for window in windows])
        shares = [len(audio) / max(window.seen.audio, 1) for audio, window in zip(heard, windows, strict=True)]
        discard = np.clip(0.75 - 0.40 * np.asarray(shares), 0.35, 0.75)
        chosen, start = [], 0
        for window, audio, keep in zip(windows, heard, apportion((1 - discard) * sizes, sizes, budget), strict=True):
            embeddings = merged[start : start + len(audio)] if merged is not None else None
            chosen.append(Selection(_see(window, int(keep)), audio, embeddings))
            start += len(audio)
        return chosen

    def prune(self, asked: Asked) -> LayerPruner:
        """Nothing more."""
        return RankedPruner((0,) * asked.layers, asked)

    def _hear(self, windows: Sequence[EncodedWindow]) -> tuple[Tensor, Tensor | None]:
        """Indices of the audio tokens that stay, into the clip's, and what replaces them."""
        sound = [window.audio for window in windows if window.audio is not None]
        attention = [window.saliency for window in windows if window.saliency is not None]
        if not sound:
            return torch.zeros(0, dtype=torch.int64), None
        tokens = torch.cat(sound)
        count = round((1 - audio_discard(self.retention)) * len(tokens))
        order = torch.cat(attention).sort(descending=True, stable=True).indices
        rest = order[count:].sort().values
        step = round(1 / ANCHORS)
        anchors = rest[step // 2 :: step] if len(rest) > step // 2 else rest[:1]
        picture = [window.video.flatten(0, 1) for window in windows if window.video is not None]
        out = tokens.clone()
        out[anchors] = _absorb(tokens, anchors, rest, torch.cat(picture) if picture else tokens[order[:count]])
        kept = torch.cat([order[:count], anchors]).sort().values
        return kept, out[kept]


def _see(window: EncodedWindow, keep: int) -> Tensor:
    """Video tokens of one chunk."""
    if window.video is None:
        return torch.zeros(0, dtype=torch.int64)
    patches, per_patch, _ = window.video.shape
    shares = apportion([1] * patches, [per_patch] * patches, keep)
    return tokens_of_patches(window.video, shares.tolist())


def _absorb(tokens: Tensor, anchors: Tensor, rest: Tensor, picture: Tensor) -> Tensor:
    """Embeddings [len(anchors), dim] of the anchors with their closest members averaged in."""
    members = rest[~torch.isin(rest, anchors)]
    merged = tokens[anchors].clone()
    if not len(members) or not len(anchors):
        return merged
    unit = normalize(tokens.float(), dim=-1)
    home = (unit[members] @ unit[anchors].T).argmax(dim=1)
    relevance = (unit[members] @ normalize(picture.float(), dim=-1).T).amax(dim=1)
    for anchor in range(len(anchors)):
        own = (home == anchor).nonzero().flatten()
        best = own[relevance[own].sort(descending=True, stable=True).indices[:MEMBERS]]
        merged[anchor] = torch.cat([merged[anchor : anchor + 1], tokens[members[best]]]).mean(dim=0)
    return merged
