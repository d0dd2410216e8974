"""CUDA graphs of passes whose shapes and addresses do not change.

A pass over few rows costs the host more to launch, kernel by kernel, than the device to compute. Recorded once as a
graph it is launched at once. What is recorded is bound to its shapes and addresses, so a pass that shall be recorded
works on memory of its own, in one of few sizes (`rung`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import partial

import torch
from torch import Tensor

__all__ = ["GraphPool", "Recorded", "rung"]

MOST_GRAPHS = 96
MOST_BYTES = 2 << 30
MOST_SHAPES = 16


def rung(count: int, finest: int) -> int:
    """The size for `count` things: at least so many, four sizes to each doubling, all multiples of `finest`.

    Args:
        count: at least 1.
        finest: a power of two.

    Returns:
        at most a quarter more than `count`, where that exceeds 4 * finest.
    """
    step = max(finest, 1 << max((count - 1).bit_length() - 3, 0))
    return -(-count // step) * step


class GraphPool:
    """Runs passes by their key: the first time as they are, from the second time on as a graph.

    All graphs share one pool of memory for what they compute in between, so a pass must leave its results in memory
    that existed before it ran, and passes must follow one another on one stream.

    Args:
        device: where they run.
        capture: False runs every pass as it is, always; the only choice where the device is no GPU.
        most: graphs kept; the one that was not used for longest goes first.
        most_bytes: bytes of the shared pool beyond which all graphs go and the pool starts anew.

    Attributes:
        capture: as given.
        replayed: passes that ran as a graph.
        nbytes: bytes of the shared pool, measured.
    """

    def __init__(
        self, device: torch.device, *, capture: bool, most: int = MOST_GRAPHS, most_bytes: int = MOST_BYTES
    ) -> None:
        self.capture = capture
        self.replayed = 0
        self.nbytes = 0
        self._device, self._most, self._most_bytes = device, most, most_bytes
        self._graphs: OrderedDict[Hashable, torch.cuda.CUDAGraph | None] = OrderedDict()
        self._stream: torch.cuda.Stream | None = torch.cuda.Stream(device) if capture else None  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle() if capture else None

    def __len__(self) -> int:
        """Graphs kept."""
        return sum(graph is not None for graph in self._graphs.values())

    def run(self, key: Hashable, work: Callable[[], None]) -> None:
        """Does the work that `key` stands for.

        Args:
            key: of work that does the same for ever: equal shapes, equal addresses.
            work: launches it; may be called, recorded or passed by.
        """
        if not self.capture:
            work()
            return
        if key not in self._graphs:
            # libraries set themselves up on first use, which cannot be recorded; and much is needed only once
            work()
            self._keep(key, None)
            return
        graph = self._graphs[key] or self._record(work)
        graph.replay()
        self.replayed += 1
        self._keep(key, graph)

    def clear(self) -> None:
        """Forgets all graphs: what they are bound to has moved."""
        self._graphs.clear()
        self.nbytes = 0
        if self.capture:
            self._pool = torch.cuda.graph_pool_handle()

    def _keep(self, key: Hashable, graph: torch.cuda.CUDAGraph | None) -> None:
        self._graphs[key] = graph
        self._graphs.move_to_end(key)
        if self.nbytes > self._most_bytes:
            self.clear()
        while len(self._graphs) > self._most:
            self._graphs.popitem(last=False)

    def _record(self, work: Callable[[], None]) -> torch.cuda.CUDAGraph:
        assert self._stream is not None, "a pool that captures has a stream"
        graph = torch.cuda.CUDAGraph()
        before = torch.cuda.memory_reserved(self._device)
        # not torch.cuda.graph: that waits for the device and gives all cached memory back first
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            # other threads may go on using the device
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            try:
                work()
            finally:
                graph.capture_end()
        torch.cuda.current_stream(self._device).wait_stream(self._stream)
        self.nbytes += max(torch.cuda.memory_reserved(self._device) - before, 0)
        return graph


class Recorded:
    """A function of one tensor, by way of a pool.

    Args:
        name: tells it from whatever else the pool runs.
        call: computes tensors from one tensor, and from nothing else that changes.
        pool: records it, for each shape that comes again.
    """

    def __init__(self, name: str, call: Callable[[Tensor], tuple[Tensor, ...]], pool: GraphPool) -> None:
        self._name, self._call, self._pool = name, call, pool
        self._slots: dict[torch.Size, tuple[Tensor, tuple[Tensor, ...]]] = {}

    def __call__(self, given: Tensor) -> tuple[Tensor, ...]:
        """What `call` makes of `given`; the caller's own."""
        slot = self._slots.get(given.shape)
        if slot is None:
            made = self._call(given)
            if len(self._slots) < MOST_SHAPES:
                self._slots[given.shape] = torch.empty_like(given), tuple(torch.empty_like(one) for one in made)
            return made
        slot[0].copy_(given)
        self._pool.run((self._name, *given.shape), partial(self._fill, *slot))
        return tuple(one.clone() for one in slot[1])

    def _fill(self, given: Tensor, results: tuple[Tensor, ...]) -> None:
        for result, made in zip(results, self._call(given), strict=True):
            result.copy_(made)
