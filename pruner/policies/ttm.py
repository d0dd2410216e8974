"""DyCoke's temporal token merging alone, in its own pairing of patches."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pruner.compress import GROUP, keep_audio
from pruner.errors import ScheduleError
from pruner.guidance import LayerPruner
from pruner.policies.base import Asked, RankedPruner, Selection, apportion, raw_tokens, segment_starts, whole
from pruner.policies.similarity import least_like
from pruner.windows import EncodedWindow

__all__ = ["TemporalMerging"]


class TemporalMerging:
    """Groups of four patches: the first whole; odd patches against the even one before, the third against the first.

    The last group is merged too, however short. Sound is compressed as OmniDrop does it, since the method has no say
    about it; the share that merged patches keep follows from the retention.

    Args:
        retention: share of all tokens to keep.
    """

    name = "ttm"
    ahead = True

    def __init__(self, retention: float) -> None:
        self.retention = retention

    def compress(self, windows: Sequence[EncodedWindow]) -> list[Selection]:
        """See the class.

        Raises:
            ScheduleError: first patches and sound alone are more than the retention, or all tokens are less.
        """
        heard = [whole(one).audio if one.saliency is None else keep_audio(one.saliency) for one in windows]
        patches = [patch for window in windows if window.video is not None for patch in window.video]
        phases = _phases(windows)
        fixed = sum(map(len, heard)) + sum(
            len(patch) for patch, phase in zip(patches, phases, strict=True) if not phase
        )
        caps = [len(patch) if phase else 0 for patch, phase in zip(patches, phases, strict=True)]
        raw = raw_tokens(windows)
        budget = round(self.retention * raw) - fixed
        if not 0 <= budget <= sum(caps):
            raise ScheduleError(self.retention, (fixed / raw, (fixed + sum(caps)) / raw))
        kept = []
        for index, share in enumerate(apportion(caps, caps, budget).tolist()):
            here, phase = patches[index], phases[index]
            reference = patches[index - (2 if phase == 2 else 1)]
            kept.append(least_like(here, reference, share) if phase else torch.arange(len(here), device=here.device))
        return _by_window(windows, kept, heard)

    def prune(self, asked: Asked) -> LayerPruner:
        """Nothing more."""
        return RankedPruner((0,) * asked.layers, asked)


def _phases(windows: Sequence[EncodedWindow]) -> list[int]:
    """Place of every patch in its group; groups restart with a segment."""
    phases: list[int] = []
    phase = 0
    for window, starts in zip(windows, segment_starts(windows), strict=True):
        if starts:
            phase = 0
        for _ in range(0 if window.video is None else len(window.video)):
            phases.append(phase)
            phase = (phase + 1) % GROUP
    return phases


def _by_window(
    windows: Sequence[EncodedWindow], kept: list[torch.Tensor], heard: list[torch.Tensor]
) -> list[Selection]:
    """Puts patches' tokens together by window, as indices into the window's flattened tokens."""
    chosen, patches = [], iter(kept)
    for window, audio in zip(windows, heard, strict=True):
        parts = [torch.zeros(0, dtype=torch.int64)]
        if window.video is not None:
            parts = [next(patches) + patch * window.video.shape[1] for patch in range(len(window.video))]
        chosen.append(Selection(torch.cat(parts), audio))
    return chosen
