"""Bytes that a session really holds at its largest, against what was computed before it was opened."""

from __future__ import annotations

import gc

import torch

from benchmarks.speed.bench import WINDOWS, Bench, Row

NAME = "memory"
_TOKENS = 8


def rows(bench: Bench) -> list[Row]:
    """A full store and an open turn. Every tensor that came to be since the session was opened counts."""
    before = _storages()
    conversation = bench.open(3 * WINDOWS)
    _, turn = bench.guide(conversation)
    for _ in range(_TOKENS):
        if bench.model.step([turn])[0].done:
            break
    now = _storages()
    measured = sum(size for key, size in now.items() if key not in before)
    computed = bench.model.session_bytes(bench.budget)
    bench.model.commit(turn, published=0)
    conversation.close()
    parts = {"measured_mib": measured / 2**20, "computed_mib": computed / 2**20}
    return [Row("session bytes, measured ÷ computed", measured / computed, target=1.05, parts=parts)]


def _storages() -> dict[int, int]:
    """Bytes of every piece of tensor memory that Python can reach, by its address."""
    gc.collect()
    found = {}
    for one in gc.get_objects():
        if type(one) in (torch.Tensor, torch.nn.Parameter):
            storage = one.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
    return found
