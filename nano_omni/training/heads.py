"""Throw-away linear heads on the towers: what is in the picture, which sound is on; trained first alone, then beside
the decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from nano_omni.training.batch import Batch
from nano_omni.training.forward import Features
from nano_omni.training.targets import SOUND_CLASSES, TOKENS_PER_SECOND, VIEW_FACTS

_VIEW_WEIGHT = 10.0  # facts are many and rare, so their mean loss is small


class TowerHeads(nn.Module):
    """One linear layer a tower. A fact holds for a second if any of its tokens says so."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.view = nn.Linear(hidden, VIEW_FACTS)
        self.sound = nn.Linear(hidden, SOUND_CLASSES)

    def forward(self, features: Features, batch: Batch) -> Tensor:
        """Scalar loss over every second of video and every audio token of whole windows."""
        facts = torch.logsumexp(self.view(features.video).float(), dim=1) - 3.0
        view = functional.binary_cross_entropy_with_logits(facts, batch.views.float())
        stream, start = batch.long[:, 0], batch.long[:, 1]
        offset = torch.arange(2 * TOKENS_PER_SECOND, device=start.device)
        index = start.clamp_min(0).long()[:, None] * TOKENS_PER_SECOND + offset
        target = batch.sounds[stream.clamp_min(0).long()[:, None], index].long()
        target = torch.where(stream[:, None] >= 0, target, -100)
        logits = self.sound(features.audio[: len(stream)]).float()
        return _VIEW_WEIGHT * view + functional.cross_entropy(logits.flatten(0, 1), target.flatten())
