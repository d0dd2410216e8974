"""The model, its optimisers and one training step."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoTokenizer, Qwen2_5OmniThinkerForConditionalGeneration

from nano_omni.training.batch import Batch
from nano_omni.training.blocks import block_masks
from nano_omni.training.decoder import dense_masks
from nano_omni.training.forward import Features, Masks, Media, Thinker
from nano_omni.training.heads import TowerHeads
from nano_omni.training.muon import Muon, split_parameters
from nano_omni.training.sight import Depths

HEAD_WEIGHT = 0.25
State = dict[str, Any]


class Stage(IntEnum):
    """Parts of a training: the towers alone; everything, on streams of which nothing is missing; the decoder alone, on
    all that policies and stores leave of a stream, while the towers stay what they have become."""

    TOWERS = 0
    WHOLE = 1
    PRUNED = 2


@dataclass(frozen=True)
class Rates:
    """Peak learning rates."""

    muon: float = 0.02
    adam: float = 2e-3


class Trainer:
    """The model, its optimisers and one training step."""

    def __init__(self, model: nn.Module, device: torch.device, rates: Rates, *, flex: bool) -> None:
        text: Any = model.config
        layers = text.text_config.num_hidden_layers
        self.depths = Depths(layers, layers // 2)
        self.thinker = Thinker(model).to(device)
        self.heads = TowerHeads(text.text_config.hidden_size).to(device)
        self.device, self.frozen = device, False
        self._rates = rates
        self._masks: Masks = block_masks if flex else dense_masks
        self._optimise()

    def _optimise(self) -> None:
        """Fresh optimisers for whatever still learns."""
        matrices, rest = split_parameters(self.thinker.model, towers=not self.frozen)
        rest = rest if self.frozen else [*rest, *self.heads.parameters()]
        self._parameters = [*matrices, *rest]
        self._muon = Muon(matrices)
        self._adam = torch.optim.AdamW(
            rest, lr=self._rates.adam, betas=(0.9, 0.98), weight_decay=0.0, fused=self.device.type == "cuda"
        )

    def freeze_towers(self) -> None:
        """From now on only the decoder learns; it keeps its momenta."""
        state = self.state()
        self.frozen = True
        self._optimise()
        self._restore_momenta(state)

    def share_weights(self) -> None:
        """Give every process the first one's weights."""
        if dist.is_initialized():
            for parameter in (*self.thinker.model.parameters(), *self.heads.parameters()):
                dist.broadcast(parameter.data, 0)

    def logits(self, batch: Batch, media: Media, stage: Stage) -> tuple[Tensor, Features]:
        """Float32 logits at the labelled tokens, and the towers' features."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            features = self._encode(batch, media, stage)
            if stage == Stage.PRUNED:
                hidden, places = self.thinker.pruned(batch, features, self._masks, self.depths.fusion)
                return self.thinker.logits(hidden, batch.labels, places).float(), features
            hidden = self.thinker.whole(batch, features, self._masks)
            return self.thinker.logits(hidden, batch.labels).float(), features

    def _encode(self, batch: Batch, media: Media, stage: Stage) -> Features:
        with torch.set_grad_enabled(stage != Stage.PRUNED and torch.is_grad_enabled()):
            return self.thinker.encode(media, batch.anchors, batch.compressed)

    def step(self, batch: Batch, media: Media, share: float, stage: Stage) -> tuple[Tensor, Tensor | None]:
        """One update at `share` of the peak rates; returns the loss and, unless only the towers learn, which labels
        were predicted right."""
        right = None
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            if stage == Stage.TOWERS:
                loss: Tensor = self.heads(self._encode(batch, media, stage), batch)
            else:
                logits, features = self.logits(batch, media, stage)
                target = torch.where(batch.labels[:, 0] >= 0, batch.labels[:, 1], -100).long()
                loss = functional.cross_entropy(logits, target)
                if stage == Stage.WHOLE:
                    loss = loss + HEAD_WEIGHT * self.heads(features, batch)
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
            parts = torch.split(flat, [gradient.numel() for gradient in gradients])
            torch._foreach_copy_(gradients, [mean.view_as(g) for g, mean in zip(gradients, parts, strict=True)])
        for group in self._adam.param_groups:
            group["lr"] = self._rates.adam * share
        torch.nn.utils.clip_grad_norm_(self._parameters, 2.0, foreach=True)
        self._adam.step()
        self._muon.step(self._rates.muon * share)
        for parameter in self._parameters:
            parameter.grad = None

    # What a checkpoint holds beside the weights as transformers saves them.

    def state(self) -> State:
        """Weights and momenta by name, on the CPU: bfloat16, but for Adam's second moments."""
        names = self._names()
        moments: dict[Any, dict[str, Any]] = self._adam.state
        adam = {names[parameter]: _adam_state(entry) for parameter, entry in moments.items()}
        return {
            "frozen": self.frozen,
            "weights": {name: _small(parameter) for parameter, name in names.items()},
            "muon": {names[parameter]: _small(average) for parameter, average in self._muon.averages().items()},
            "adam": adam,
        }

    @torch.no_grad()
    def restore(self, state: State) -> None:
        """Go on from a `state`."""
        for parameter, name in self._names().items():
            parameter.copy_(state["weights"][name])
        self.frozen = state["frozen"]
        self._optimise()
        self._restore_momenta(state)

    @torch.no_grad()
    def _restore_momenta(self, state: State) -> None:
        names = self._names()
        for parameter, average in self._muon.averages().items():
            average.copy_(state["muon"][names[parameter]])
        for group in self._adam.param_groups:
            for parameter in group["params"]:
                known = state["adam"].get(names[parameter])
                if known is not None:
                    self._adam.state[parameter] = {
                        name: value.to(self.device, torch.float32) for name, value in known.items()
                    }

    def _names(self) -> dict[nn.Parameter, str]:
        parts = (("model", self.thinker.model), ("heads", self.heads))
        return {p: f"{part}.{name}" for part, module in parts for name, p in module.named_parameters()}


def _small(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.bfloat16)


def _adam_state(entry: dict[str, Any]) -> dict[str, Tensor]:
    exact = {name: entry[name].detach().cpu().clone() for name in ("step", "exp_avg_sq")}
    return exact | {"exp_avg": _small(entry["exp_avg"])}


def load(directory: Path, device: torch.device) -> tuple[Any, Any]:
    """Model (float32) and tokenizer of a checkpoint directory."""
    model = Qwen2_5OmniThinkerForConditionalGeneration.from_pretrained(directory, dtype=torch.float32)
    return model.to(device), AutoTokenizer.from_pretrained(directory)
