"""SEATS (arXiv 2605.20035): diverse tokens at the input, three guided cuts, and no audiovisual tokens at the end."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pruner.errors import ScheduleError
from pruner.guidance import LayerPruner
from pruner.policies.base import Asked, RankedPruner, Selection, apportion, raw_tokens
from pruner.policies.similarity import spread_out
from pruner.tokens import Modality
from pruner.windows import EncodedWindow

__all__ = ["Seats"]

LAYERS = 28
CUTS = (16, 18, 20)
END = 24
KEEP = 0.5


def _at(layer: int, layers: int) -> int:
    """A published layer number of 28, at the same depth of another model."""
    return round(layer * layers / LAYERS)


class Seats:
    """Windowed max-min diversity weighted by encoder attention, then drops that budget window before modality.

    Every cut keeps half; how many tokens enter follows from the retention. The vision tower gives no attention, so
    video tokens weigh the same.

    Args:
        retention: layer mean to reach.
        layers: decoder layers L.
    """

    name = "seats"
    ahead = True

    def __init__(self, retention: float, layers: int) -> None:
        self.retention = retention
        first, second, third = (_at(cut, layers) for cut in CUTS)
        spent = first + KEEP * (second - first) + KEEP**2 * (third - second) + KEEP**3 * (_at(END, layers) - third)
        self._enter = retention * layers / spent
        if not 0 < self._enter <= 1:
            raise ScheduleError(retention, (0.0, spent / layers))

    def compress(self, windows: Sequence[EncodedWindow]) -> list[Selection]:
        """A window keeps the same share of both modalities."""
        budget = round(self._enter * raw_tokens(windows))
        sizes = [size for window in windows for size in (window.seen.video, window.seen.audio)]
        shares = iter(apportion(sizes, sizes, budget).tolist())
        return [Selection(_see(window, next(shares)), _hear(window, next(shares))) for window in windows]

    def prune(self, asked: Asked) -> LayerPruner:
        """Half goes before layers 16, 18 and 20 of 28, the rest before layer 24."""
        drops, alive = [0] * asked.layers, asked.count
        for cut in CUTS:
            # In shallow models two cuts may fall on the same layer: they then add up.
            gone = alive - round(KEEP * alive)
            drops[_at(cut, asked.layers) - 1] += gone
            alive -= gone
        drops[_at(END, asked.layers) - 1] += alive
        return _Pruner(tuple(drops), asked)


class _Pruner(RankedPruner):
    def choose(self, layer: int, scores: Tensor) -> Tensor:
        keep = len(scores) - self.drops[layer]
        # A window's budget depends on its scores: unlike OmniDrop's, this choice waits for the device.
        score, chunk, sound = scores.cpu(), self.chunk.cpu(), self.modality.cpu() == Modality.AUDIO
        chunks = torch.unique(chunk).tolist()
        of_chunk = [chunk == number for number in chunks]
        shares = apportion([float(score[own].sum()) for own in of_chunk], [int(own.sum()) for own in of_chunk], keep)
        kept = torch.zeros(len(score), dtype=torch.bool)
        for own, share in zip(of_chunk, shares.tolist(), strict=True):
            parts = [(own & ~sound).nonzero().flatten(), (own & sound).nonzero().flatten()]
            inner = apportion([float(score[part].sum()) for part in parts], [len(part) for part in parts], share)
            for part, count in zip(parts, inner.tolist(), strict=True):
                kept[part[score[part].sort(descending=True, stable=True).indices[:count]]] = True
        return kept.nonzero().flatten().to(scores.device)


def _see(window: EncodedWindow, keep: int) -> Tensor:
    if window.video is None:
        return torch.zeros(0, dtype=torch.int64)
    tokens = window.video.flatten(0, 1)
    return spread_out(tokens, torch.ones(len(tokens), device=tokens.device), keep)


def _hear(window: EncodedWindow, keep: int) -> Tensor:
    if window.audio is None or window.saliency is None:
        return torch.zeros(0, dtype=torch.int64)
    return spread_out(window.audio, window.saliency.float(), keep)
