"""Where a pass can be looked into while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pruner import LiveModel
from pruner.decoder import Guided
from pruner.deep import DeepPass

__all__ = ["between_halves"]


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
