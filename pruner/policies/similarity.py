"""Ways to choose tokens by how alike they are, shared by several methods."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

__all__ = ["density_peaks", "least_like", "rescaled", "spread_out", "tokens_of_patches"]


def least_like(tokens: Tensor, reference: Tensor, keep: int) -> Tensor:
    """int64 [keep], ascending: the tokens [n, dim] least similar to the reference [n, dim] at the same place."""
    likeness = cosine_similarity(tokens.float(), reference.float(), dim=-1)
    return likeness.sort(stable=True).indices[:keep].sort().values


def density_peaks(tokens: Tensor, keep: int, neighbours: int = 5) -> Tensor:
    """Cluster centres by density peaks over the nearest neighbours (DPC-kNN).

    A token's score is its density (from the mean squared distance to its nearest neighbours) times the distance to
    the nearest token of higher density.

    Args:
        tokens: [n, dim].
        keep: centres wanted, at most n.

    Returns:
        int64 [keep], ascending.
    """
    if len(tokens) <= max(keep, 1):
        return torch.arange(min(keep, len(tokens)), device=tokens.device)
    distance = torch.cdist(tokens.float(), tokens.float()) / tokens.shape[-1] ** 0.5
    near = distance.sort(dim=-1).values[:, 1 : 1 + neighbours]
    density = torch.exp(-(near**2).mean(dim=-1))
    # Among equal densities the earlier token counts as denser, so that repeated tokens do not all become centres.
    order = torch.arange(len(tokens), device=tokens.device)
    denser = (density[None] > density[:, None]) | ((density[None] == density[:, None]) & (order[None] < order[:, None]))
    away = torch.where(denser, distance, torch.inf).amin(dim=-1)
    away = torch.where(away.isinf(), distance.amax(), away)
    return (density * away).sort(descending=True, stable=True).indices[:keep].sort().values


def spread_out(tokens: Tensor, weight: Tensor, keep: int) -> Tensor:
    """Max-min diversity: starting from the heaviest token, always the one farthest from all chosen, by weight.

    Args:
        tokens: [n, dim].
        weight: [n], not negative; multiplies a token's cosine distance to the nearest token chosen.
        keep: tokens wanted, at most n.

    Returns:
        int64 [keep], ascending.
    """
    if keep <= 0:
        return torch.zeros(0, dtype=torch.int64, device=tokens.device)
    unit = normalize(tokens.float(), dim=-1)
    chosen = [weight.argmax()]
    nearest = 1.0 - unit @ unit[chosen[0]]
    taken = torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device)
    for _ in range(keep - 1):
        taken[chosen[-1]] = True
        chosen.append(torch.where(taken, -torch.inf, nearest * weight).argmax())
        nearest = torch.minimum(nearest, 1.0 - unit @ unit[chosen[-1]])
    return torch.stack(chosen).sort().values


def rescaled(values: Tensor) -> Tensor:
    """Values [n] stretched to [0, 1]; zeros where all are equal."""
    low, high = values.amin(), values.amax()
    return (values - low) / (high - low).clamp(min=torch.finfo(values.dtype).tiny)


def tokens_of_patches(patches: Tensor, keep: list[int]) -> Tensor:
    """Video tokens of a run of patches: density peaks in even patches, in odd ones what changed since the one before.

    Args:
        patches: [p, per_patch, dim].
        keep: tokens wanted of each patch.

    Returns:
        int64 [sum(keep)], ascending, into the flattened patches.
    """
    chosen = []
    for index, count in enumerate(keep):
        here = patches[index]
        kept = least_like(here, patches[index - 1], count) if index % 2 else density_peaks(here, count)
        chosen.append(kept + index * patches.shape[1])
    return torch.cat(chosen)
