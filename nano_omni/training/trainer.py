"""The model, its optimisers and one training step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoTokenizer, Qwen2_5OmniThinkerForConditionalGeneration

from nano_omni.training.batch import DROP_GROUPS, Batch
from nano_omni.training.decoder import block_masks, dense_masks
from nano_omni.training.forward import Media, Thinker, drop_groups, visibility_of
from nano_omni.training.heads import TowerHeads
from nano_omni.training.muon import Muon, split_parameters

HEAD_WEIGHT = 0.25


@dataclass(frozen=True)
class Rates:
    """Peak learning rates."""

    muon: float = 0.02
    adam: float = 2e-3


class Trainer:
    """The model, its optimisers and one training step."""

    def __init__(self, model: nn.Module, device: torch.device, rates: Rates, *, flex: bool) -> None:
        config: Any = model.config
        layers = config.text_config.num_hidden_layers
        self.thinker = Thinker(model).to(device)
        self.heads = TowerHeads(config.text_config.hidden_size).to(device)
        self.device, self._rates = device, rates
        self.groups = drop_groups(layers, layers // 2, DROP_GROUPS)
        matrices, rest = split_parameters(self.thinker.model)
        rest = [*rest, *self.heads.parameters()]
        self._parameters = [*matrices, *rest]
        self._muon = Muon(matrices)
        self._adam = torch.optim.AdamW(
            rest, lr=rates.adam, betas=(0.9, 0.98), weight_decay=0.0, fused=device.type == "cuda"
        )
        self._flex = flex

    def share_weights(self) -> None:
        """Give every process the first one's weights."""
        if dist.is_initialized():
            for parameter in self._parameters:
                dist.broadcast(parameter.data, 0)

    def masks(self, batch: Batch) -> list[Any]:
        """One mask a layer; equal ones are the same object."""
        make = block_masks if self._flex else dense_masks
        kinds: list[int | None] = [None, *range(DROP_GROUPS)]
        made = dict(zip(kinds, make(visibility_of(batch), kinds), strict=True))
        return [made[group] for group in self.groups]

    def logits(self, batch: Batch, media: Media) -> tuple[Tensor, Any]:
        """Float32 logits at the labelled tokens, and the towers' features."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            features = self.thinker.encode(media, batch.anchors, batch.compressed)
            hidden = self.thinker.hidden(batch.rows, features, self.masks(batch))
            return self.thinker.logits(hidden, batch.labels).float(), features

    def step(self, batch: Batch, media: Media, share: float, *, towers_only: bool) -> tuple[Tensor, Tensor | None]:
        """One update at `share` of the peak rates; returns the loss and, unless only the towers learn, which labels
        were predicted right."""
        right = None
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            if towers_only:
                features = self.thinker.encode(media, batch.anchors, batch.compressed)
                loss: Tensor = self.heads(features, batch)
            else:
                logits, features = self.logits(batch, media)
                target = torch.where(batch.labels[:, 0] >= 0, batch.labels[:, 1], -100).long()
                loss = functional.cross_entropy(logits, target) + HEAD_WEIGHT * self.heads(features, batch)
                right = logits.detach().argmax(-1) == target
        loss.backward()  # type: ignore[no-untyped-call]
        self._update(share)
        return loss.detach(), right

    def _update(self, share: float) -> None:
        if dist.is_initialized():
            gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            dist.all_reduce(flat)
            flat /= dist.get_world_size()
            for gradient, mean in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
                gradient.copy_(mean.view_as(gradient))
        for group in self._adam.param_groups:
            group["lr"] = self._rates.adam * share
        torch.nn.utils.clip_grad_norm_(self._parameters, 2.0, foreach=True)
        self._adam.step()
        self._muon.step(self._rates.muon * share)
        for parameter in self._parameters:
            parameter.grad = None


def load(directory: Path, device: torch.device) -> tuple[Any, Any]:
    """Model (float32) and tokenizer of a checkpoint directory."""
    model = Qwen2_5OmniThinkerForConditionalGeneration.from_pretrained(directory, dtype=torch.float32)
    return model.to(device), AutoTokenizer.from_pretrained(directory)
