"""What a session holds in memory: counted over the objects themselves, and the process's resident memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import psutil
import torch

from pruner import Conversation, Turn
from pruner.families.omni import OmniModel

__all__ = ["resident_mib", "session_bytes"]

_SHARED = (OmniModel, torch.nn.Module, type)
"""What sessions have in common."""


def session_bytes(conversation: Conversation, turn: Turn | None = None) -> int:
    """Bytes of every tensor and array that a conversation, and its running turn, keep alive beyond the model."""
    seen: set[int] = set()
    memory: dict[int, int] = {}
    todo: list[Any] = [conversation, turn]
    while todo:
        one = todo.pop()
        if id(one) in seen or isinstance(one, _SHARED) or callable(one):
            continue
        seen.add(id(one))
        if isinstance(one, torch.Tensor):
            storage = one.untyped_storage()
            memory[storage.data_ptr()] = storage.nbytes()
        elif isinstance(one, np.ndarray):
            owner = one if one.base is None else one.base
            if isinstance(owner, np.ndarray):
                memory[owner.ctypes.data] = owner.nbytes
        elif isinstance(one, dict):
            todo += one.values()
        elif isinstance(one, list | tuple | set | frozenset):
            todo += one
        elif type(one).__module__.startswith("pruner."):
            todo += _parts(one)
    return sum(memory.values())


def resident_mib() -> float:
    """Resident memory of this process."""
    return float(psutil.Process().memory_info().rss / 2**20)


def _parts(one: Any) -> list[Any]:
    slots = [name for kind in type(one).__mro__ for name in getattr(kind, "__slots__", ())]
    return [*getattr(one, "__dict__", {}).values(), *(getattr(one, name, None) for name in slots)]
