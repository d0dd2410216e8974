"""How many audiovisual tokens are left at each layer, in the forms that pruning methods give it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Shares = NDArray[np.float32]
"""[layers], share of the tokens that enter each layer, never rising."""

FORMS = ("flat", "falling", "ladder", "early", "sigmoid")
EARLY = 2
"""Layers before the one drop of "early", as FastV's."""


def everything(layers: int) -> Shares:
    """No drop."""
    return np.ones(layers, dtype=np.float32)


def schedule(form: str, keep: float, layers: int, depth: int, random: np.random.Generator) -> Shares:
    """Shares of one form, `keep` of the tokens at the last layer.

    Args:
        form: "flat": one drop where the deep half begins; "falling": a constant ratio a layer from there on; "ladder":
            three falling steps there; "early": one drop after two layers; "sigmoid": the paper's, at all layers.
        keep: in (0, 1].
        layers: of the decoder.
        depth: first layer of the deep half.
        random: where the ladder's steps are drawn from.

    Raises:
        ValueError: no such form.
    """
    shares, deep = everything(layers), layers - depth
    if form == "flat":
        shares[depth:] = keep
    elif form == "falling":
        shares[depth:] = keep ** (np.arange(1, deep + 1) / deep)
    elif form == "ladder":
        steps = np.sort(np.exp(random.uniform(np.log(keep), 0.0, 2)))[::-1]
        shares[depth:] = np.append(steps, keep)[np.arange(deep) * 3 // deep]
    elif form == "early":
        shares[EARLY:] = keep
    elif form == "sigmoid":
        # Drops rise along a sigmoid centred on the middle layer; their size follows from what is to be left.
        growth = 1 / (1 + np.exp(-20 * (np.arange(layers - 1) / layers - 0.5)))
        shares[1:] = keep ** (np.cumsum(growth) / growth.sum())
    else:
        raise ValueError(f"unknown form {form!r}: choose from {', '.join(FORMS)}")
    return shares
