"""Bytes that a session really holds at its largest, against what was computed before it was opened."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import torch

from benchmarks.speed.bench import WINDOWS, Bench, Row
from pruner import Conversation

RATIO = "session bytes, measured ÷ computed"
_PAST = 3 * WINDOWS
_TOKENS = 8


def rows(bench: Bench) -> list[Row]:
    """A full memory and an open turn, after other sessions have come and gone.

    On a GPU, what its allocator gave out since the session was opened; elsewhere every tensor that came to be since.
    Beside it what all sessions share, as computed, and what passes took for a moment, which is the running batch's.
    """
    bench.watch.warm(lambda: _session(bench).conversation.close())
    gc.collect()
    device = bench.watch.device
    before = _Held.now(device)
    opened = _session(bench)
    held = _Held.now(device)
    measured, computed = held.since(before), bench.first.live.session_bytes(bench.setting.budget)
    parts: dict[str, float | str] = {"measured_mib": measured / 2**20, "computed_mib": computed / 2**20}
    parts["shared_mib"] = bench.first.live.shared_bytes(bench.setting.budget) / 2**20
    if device.type == "cuda":
        parts["passing_mib"] = (opened.peak - held.allocated) / 2**20
    opened.conversation.close()
    return [Row(RATIO, measured / computed, "", parts=parts)]


@dataclass
class _Opened:
    """A session at its largest, and the most bytes that were taken at once on the way there."""

    conversation: Conversation
    turn: object
    peak: int


def _session(bench: Bench) -> _Opened:
    served = bench.first
    conversation = served.open(_PAST)
    device = bench.watch.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    served.live.fuse([(conversation, window) for window in served.stream(1, first=_PAST)])
    turn = served.guide(conversation)
    for _ in range(_TOKENS):
        if served.live.step([turn])[0].done:
            break
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    return _Opened(conversation, turn, peak)


@dataclass(frozen=True)
class _Held:
    """What is held: bytes on a GPU, or the pieces of memory of all tensors that Python can reach."""

    allocated: int
    pieces: dict[int, int]

    @classmethod
    def now(cls, device: torch.device) -> _Held:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            return cls(torch.cuda.memory_allocated(device), {})
        gc.collect()
        tensors = [one for one in gc.get_objects() if type(one) in (torch.Tensor, torch.nn.Parameter)]
        storages = [one.untyped_storage() for one in tensors]
        return cls(0, {storage.data_ptr(): storage.nbytes() for storage in storages})

    def since(self, before: _Held) -> int:
        """Bytes that came."""
        new = sum(size for key, size in self.pieces.items() if key not in before.pieces)
        return self.allocated - before.allocated + new
