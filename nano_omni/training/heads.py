"""Throw-away linear heads on the towers: what a token covers, which sound is on; trained first alone, then beside the
decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from nano_omni.training.batch import Batch
from nano_omni.training.forward import Features
from nano_omni.training.targets import IN_DOUBT, SOUND_CLASSES, TOKENS_PER_SECOND, VIEW_CLASSES

_EMPTY_WEIGHT = 0.5


class TowerHeads(nn.Module):
    """One linear layer a tower, applied to every token by itself."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.view = nn.Linear(hidden, sum(VIEW_CLASSES))
        self.sound = nn.Linear(hidden, SOUND_CLASSES)

    def forward(self, features: Features, batch: Batch) -> Tensor:
        """Scalar loss over every video token and every audio token of whole windows."""
        return self._seen(features, batch) + self._heard(features, batch)

    def _seen(self, features: Features, batch: Batch) -> Tensor:
        """Mean over tokens that cover an object, and half as much over those that cover none."""
        loss = features.video.new_zeros((), dtype=torch.float32)
        scores = self.view(features.video).float().flatten(0, 1).split(VIEW_CLASSES, dim=-1)
        for logits, column in zip(scores, batch.views.flatten(0, 1).long().unbind(-1), strict=True):
            each = functional.cross_entropy(logits, column.masked_fill(column == IN_DOUBT, 0), reduction="none")
            empty, full = column == 0, (column > 0) & (column < IN_DOUBT)
            for which, weight in ((full, 1.0), (empty, _EMPTY_WEIGHT)):
                loss = loss + weight * (each * which).sum() / which.sum().clamp_min(1)
        return loss

    def _heard(self, features: Features, batch: Batch) -> Tensor:
        stream, start = batch.long[:, 0], batch.long[:, 1]
        offset = torch.arange(2 * TOKENS_PER_SECOND, device=start.device)
        index = start.clamp_min(0).long()[:, None] * TOKENS_PER_SECOND + offset
        target = batch.sounds[stream.clamp_min(0).long()[:, None], index].long()
        target = torch.where(stream[:, None] >= 0, target, -100)
        logits = self.sound(features.audio[: len(stream)]).float()
        return functional.cross_entropy(logits.flatten(0, 1), target.flatten())
