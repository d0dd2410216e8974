"""Pruning methods, each a file: OmniDrop as published, its live form, and what they are compared with.

`make(name, retention, layers)` builds any of them at a layer-mean retention; `NAMES` lists them.
"""

from __future__ import annotations

from collections.abc import Callable

from pruner.errors import InputError
from pruner.policies.base import Asked, Policy, Selection, Spending, spending
from pruner.policies.dash import Dash
from pruner.policies.fastv import FastV
from pruner.policies.keep_audio import KeepAudio
from pruner.policies.live import Live
from pruner.policies.omnidrop import OmniDrop
from pruner.policies.omnizip import OmniZip
from pruner.policies.random import RandomInput, RandomLayers
from pruner.policies.seats import Seats
from pruner.policies.ttm import TemporalMerging
from pruner.policies.window import Everything, Window

__all__ = [
    "NAMES",
    "Asked",
    "Dash",
    "Everything",
    "FastV",
    "KeepAudio",
    "Live",
    "OmniDrop",
    "OmniZip",
    "Policy",
    "RandomInput",
    "RandomLayers",
    "Seats",
    "Selection",
    "Spending",
    "TemporalMerging",
    "Window",
    "make",
    "spending",
]

_MAKERS: dict[str, Callable[[float, int, int], Policy]] = {
    "all": lambda retention, layers, seed: Everything(),
    "omnidrop": lambda retention, layers, seed: OmniDrop(retention),
    "live": lambda retention, layers, seed: Live(retention),
    "random": lambda retention, layers, seed: RandomInput(retention, seed=seed),
    "random_layers": lambda retention, layers, seed: RandomLayers(retention, seed=seed),
    "window": lambda retention, layers, seed: Window(retention),
    "fastv": lambda retention, layers, seed: FastV(retention),
    "ttm": lambda retention, layers, seed: TemporalMerging(retention),
    "omnizip": lambda retention, layers, seed: OmniZip(retention),
    "dash": lambda retention, layers, seed: Dash(retention),
    "seats": lambda retention, layers, seed: Seats(retention, layers),
    "keep_audio": lambda retention, layers, seed: KeepAudio(retention),
}

NAMES = tuple(_MAKERS)


def make(name: str, retention: float, layers: int, *, seed: int = 0) -> Policy:
    """A policy by name.

    Args:
        retention: layer mean to reach ("all" ignores it).
        layers: decoder layers of the model.
        seed: of methods that draw by lot.

    Raises:
        InputError: no such policy.
        ScheduleError: the retention is out of the method's reach.
    """
    if name not in _MAKERS:
        raise InputError("policy", f"there is no {name!r}", f"use one of {', '.join(NAMES)}")
    return _MAKERS[name](retention, layers, seed)
