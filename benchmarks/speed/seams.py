"""Where a pass can be looked into while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pruner import LiveModel
from pruner.decoder import Guided
from pruner.deep import DeepPass

__all__ = ["between_halves", "replayed", "unrecorded"]


@contextmanager
def between_halves(live: LiveModel, call: Callable[[], None]) -> Iterator[None]:
    """Calls when a question has passed the shallow layers and the deep ones are about to run."""
    decoder = live._decoder
    deepen = decoder._deepen

    def watched(passes: Sequence[DeepPass]) -> list[Guided]:
        call()
        return deepen(passes)

    decoder._deepen = watched  # type: ignore[method-assign]
    try:
        yield
    finally:
        del decoder._deepen


def unrecorded(live: LiveModel) -> LiveModel:
    """Has passes in fixed shapes run as they are, graphs or not."""
    assert live._pool is not None, "it runs passes in fixed shapes"
    live._pool.capture = False
    return live


def replayed(live: LiveModel) -> int:
    """How many passes ran as a graph."""
    return 0 if live._pool is None else live._pool.replayed
