"""Whether weights are those that their configuration describes, told before one of them is read.

transformers finds that out as well, but only once it has read everything, and puts random numbers where weights are
missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod
from typing import Any

import torch

from pruner.errors import WeightsError
from pruner.families.checkpoint import Checkpoint

__all__ = ["check_weights"]

_AROUND = re.compile(r"^(?:thinker\.|model\.|language_model\.)+")
_REMEDY = "fetch config.json and all weights of one model"


def check_weights(checkpoint: Checkpoint, kind: Any, config: Any) -> None:
    """Compares sizes: those of the tensors in the files, and of a model that is made without memory for its weights.

    Versions of transformers nest a thinker's parts differently and store experts one by one or together. So tensors are
    compared whose names are the same but for that, and the sum over all; one of another name alone is no fault.

    Args:
        checkpoint: the files' headers.
        kind: transformers' class of the thinker.
        config: its configuration.

    Raises:
        WeightsError: there are fewer numbers than the model has, or a tensor is of another shape.
    """
    with torch.device("meta"):
        described = {_plain(name): tuple(one.shape) for name, one in kind(config).named_parameters()}
    found = {_plain(name): shape for name, shape in checkpoint.shapes.items()}
    for name in sorted(described.keys() & found.keys()):
        if described[name] != found[name]:
            problem = (
                f"holds {name} with shape {list(found[name])}, but its config.json makes it {list(described[name])}"
            )
            raise WeightsError(checkpoint.directory, problem, _REMEDY)
    there, wanted = _numbers(found), _numbers(described)
    if there < wanted:
        absent = sorted(name for name in described.keys() - found.keys() if ".experts." not in name)
        such = f", such as {absent[0]}" if absent else ""
        problem = f"lacks weights that its config.json describes{such}: {there:,} numbers of {wanted:,}"
        raise WeightsError(checkpoint.directory, problem, _REMEDY)


def _plain(name: str) -> str:
    """A tensor's name without what it is nested in."""
    return _AROUND.sub("", name)


def _numbers(shapes: Mapping[str, tuple[int, ...]]) -> int:
    return sum(prod(shape) for shape in shapes.values())
