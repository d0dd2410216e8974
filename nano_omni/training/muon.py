"""Muon for the hidden matrices and AdamW for everything else, both over fp32 masters.

Muon (Jordan et al., 2024): momentum, then the update is replaced by its nearest semi-orthogonal matrix, found by five
Newton-Schulz steps. Matrices of one shape are stacked, so that a step costs a few dozen kernels instead of thousands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_TOWERS = ("visual.", "audio_tower.")


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """Nearest semi-orthogonal matrices, roughly (singular values within about 0.7…1.2): [..., m, n] to bf16 of that
    shape."""
    a, b, c = _COEFFICIENTS
    x = matrices.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    done: Tensor = x.mT if tall else x
    return done


class Muon:
    """Momentum with orthogonalised updates for matrices [out, in]; weight decay is decoupled."""

    def __init__(self, parameters: Iterable[nn.Parameter], *, momentum: float = 0.95, decay: float = 0.05) -> None:
        shapes: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
        for parameter in parameters:
            shapes[parameter.shape].append(parameter)
        self._groups = [(group, torch.zeros_like(torch.stack(list(group)))) for group in shapes.values()]
        self._momentum, self._decay = momentum, decay

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One update at learning rate `rate`."""
        for group, average in self._groups:
            gradient = torch.stack([_gradient(parameter) for parameter in group])
            average.lerp_(gradient, 1 - self._momentum)
            update = orthogonalise(gradient.lerp(average, self._momentum))
            scale = max(1.0, group[0].shape[0] / group[0].shape[1]) ** 0.5
            masters = [parameter.data for parameter in group]
            torch._foreach_mul_(masters, 1 - rate * self._decay)
            torch._foreach_add_(masters, list(update.float().unbind(0)), alpha=-rate * scale)

    def averages(self) -> dict[nn.Parameter, Tensor]:
        """The momentum of each parameter: views, to be read or written."""
        return {
            parameter: part
            for group, average in self._groups
            for parameter, part in zip(group, average.unbind(0), strict=True)
        }


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def split_parameters(model: nn.Module, *, towers: bool = True) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Hidden matrices (for Muon) and the rest: embeddings, head, first layers of the towers, norms, biases (for
    AdamW); without `towers` the decoder's alone."""
    hidden: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if not towers and any(part in name for part in _TOWERS):
            continue
        inner = any(part in name for part in ("layers.", "blocks.", "merger.mlp"))
        (hidden if inner and parameter.ndim == 2 else rest).append(parameter)
    return hidden, rest
