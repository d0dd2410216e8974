"""Intra-modality compression, before the decoder (paper, section 3.4): pure selection of token indices.

How many tokens survive depends on shapes alone, so counts and positions are known on the host before the towers have
run. Audio keeps, per window, the tokens its encoder attends to most. Video uses temporal token merging (DyCoke):
groups of temporal patches whose first patch, the anchor, is kept whole, while of each other patch only the tokens
least similar to the anchor's token at the same place stay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

__all__ = ["AUDIO_KEEP", "GROUP", "VIDEO_KEEP", "MergeState", "audio_count", "keep_audio", "keep_video", "video_count"]

AUDIO_KEEP = 0.7
"""Share of a window's audio tokens that stay."""
VIDEO_KEEP = 0.2
"""Share of a patch's tokens that stay where the patch is not an anchor."""
GROUP = 4
"""Temporal patches a group: two windows of 2 s."""


def audio_count(tokens: int, keep: float = AUDIO_KEEP) -> int:
    """Audio tokens that stay of a window's `tokens`: rounded to the nearest."""
    return round(keep * tokens)


def keep_audio(saliency: Tensor, keep: float = AUDIO_KEEP) -> Tensor:
    """The audio tokens of a window that receive most attention in the encoder's last layer.

    Args:
        saliency: float [..., n], attention each token receives.
        keep: share that stays.

    Returns:
        int64 [..., audio_count(n, keep)], ascending; of equal tokens the earlier stays.
    """
    order = saliency.sort(dim=-1, descending=True, stable=True).indices
    return order[..., : audio_count(saliency.shape[-1], keep)].sort(dim=-1).values


@dataclass(frozen=True)
class MergeState:
    """Where a segment's temporal token merging stands, carried from window to window; `MergeState()` at its start.

    Attributes:
        phase: patches of the open group already seen, 0…GROUP-1; 0 means that the next patch is an anchor.
        anchor: float [..., per_patch, dim], tokens of the open group's anchor; None while phase is 0.
    """

    phase: int = 0
    anchor: Tensor | None = None


def video_count(patches: int, per_patch: int, phase: int = 0, keep: float = VIDEO_KEEP, group: int = GROUP) -> int:
    """Video tokens that stay of `patches` temporal patches when `phase` patches of a group came before.

    A patch that is no anchor keeps `floor(keep * per_patch)`; 0.2 of Qwen's 144 tokens is 28, which gives the
    paper's 0.4408 of all tokens before the decoder.
    """
    anchors = sum((phase + patch) % group == 0 for patch in range(patches))
    return anchors * per_patch + (patches - anchors) * _others(per_patch, keep)


def keep_video(
    tokens: Tensor, state: MergeState | None = None, keep: float = VIDEO_KEEP, group: int = GROUP
) -> tuple[Tensor, MergeState]:
    """The video tokens of consecutive temporal patches that stay.

    Feeding a group's patches one window at a time, with the state handed on, selects exactly what feeding them at
    once selects.

    Args:
        tokens: float [..., patches, per_patch, dim], a window's tokens as the decoder would get them.
        state: what the previous call of this segment returned; None at its start.
        keep: share of a patch that stays where it is no anchor.
        group: patches a group.

    Returns:
        int64 [..., video_count(...)] into the flattened `patches * per_patch`, ascending, and the state to hand on.
    """
    patches, per_patch = tokens.shape[-3], tokens.shape[-2]
    phase, anchor = (state.phase, state.anchor) if state is not None else (0, None)
    kept = []
    for patch in range(patches):
        here = tokens[..., patch, :, :]
        if anchor is None or phase == 0:
            anchor = here
            index = torch.arange(per_patch, device=tokens.device).expand(*tokens.shape[:-3], per_patch)
        else:
            likeness = cosine_similarity(_wide(here), _wide(anchor), dim=-1)
            index = likeness.sort(dim=-1, stable=True).indices[..., : _others(per_patch, keep)].sort(dim=-1).values
        kept.append(index + patch * per_patch)
        phase = (phase + 1) % group
    return torch.cat(kept, dim=-1), MergeState(phase, anchor if phase else None)


def _others(per_patch: int, keep: float) -> int:
    # The small term keeps products such as 0.7 * 10, which floating point puts just below 7, from losing a token.
    return math.floor(keep * per_patch + 1e-9)


def _wide(tokens: Tensor) -> Tensor:
    return tokens if tokens.dtype == torch.float64 else tokens.float()
