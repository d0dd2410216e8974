"""Only the most recent chunks, and everything of them."""

from __future__ import annotations

from collections.abc import Sequence

from pruner.guidance import LayerPruner
from pruner.policies.base import Asked, RankedPruner, Selection, apportion, raw_tokens, whole
from pruner.windows import EncodedWindow

__all__ = ["Everything", "Window"]


class Window:
    """Keeps the newest windows whole, and the end of the one before, as far as the retention goes.

    Args:
        retention: share of all tokens to keep.
    """

    name = "window"
    ahead = True

    def __init__(self, retention: float) -> None:
        self.retention = retention

    def compress(self, windows: Sequence[EncodedWindow]) -> list[Selection]:
        """See the class."""
        budget = round(self.retention * raw_tokens(windows))
        chosen = []
        for window in reversed(windows):
            sizes = [window.seen.video, window.seen.audio]
            video, audio = apportion(sizes, sizes, budget).tolist()
            everything = whole(window)
            chosen.append(Selection(everything.video[sizes[0] - video :], everything.audio[sizes[1] - audio :]))
            budget -= video + audio
        return chosen[::-1]

    def prune(self, asked: Asked) -> LayerPruner:
        """Nothing more."""
        return RankedPruner((0,) * asked.layers, asked)


class Everything(Window):
    """No pruning at all: what every method is measured against."""

    name = "all"

    def __init__(self) -> None:
        super().__init__(1.0)
