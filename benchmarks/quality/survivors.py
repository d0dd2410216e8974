"""Which audiovisual tokens live at each layer: counted for figures, and dumped for whoever wants to look.

A dump is one compressed npz a method, target and stream, `DIR/<split>-<windows>/<job>/<seed>.npz`, with

    window    int16 [t]     window of 2 s that a token comes from, ascending
    modality  uint8 [t]     1 picture, 2 sound (`pruner.tokens.Modality`)
    token     int16 [t]     its index among its window's raw tokens of that modality: patch * tokens a patch + place
    depth     uint8 [q, t]  for each question, in the order of `predictions.jsonl`, how many layers the token enters:
                            it lives in layers 0 … depth - 1, since a dropped token never comes back in a pass
    layers    int64 []      decoder layers L: a token with depth L reaches the end
    raw       int64 [w, 2]  raw tokens of each window, picture and sound: what is not in `window` left before layer 0

for the t tokens that enter layer 0. `numpy.load` reads it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pruner.oneshot import Prompted
from pruner.policies import Selection
from pruner.tokens import Modality
from pruner.windows import EncodedWindow

__all__ = ["NOWHERE", "Columns", "Ints", "Survivors", "depths", "places", "slug"]

Ints = npt.NDArray[np.integer]
Columns = tuple[Ints, Ints, Ints]
"""Window, modality and raw index of tokens, [t] each."""
NOWHERE: Columns = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
"""Of no tokens."""


@dataclass(frozen=True)
class Survivors:
    """See the module; `depth` is [q, t]."""

    window: Ints
    modality: Ints
    token: Ints
    depth: Ints
    layers: int
    raw: Ints

    @staticmethod
    def stack(columns: Columns, depth: Sequence[Ints], layers: int, windows: Sequence[EncodedWindow]) -> Survivors:
        """Of a stream's questions, each with its own depths [t]."""
        raw = np.asarray([[window.seen.video, window.seen.audio] for window in windows], dtype=np.int64)
        return Survivors(*columns, np.asarray(depth).reshape(len(depth), len(columns[0])), layers, raw)

    def by_layer_and_window(self) -> npt.NDArray[np.int64]:
        """int64 [L, w]: tokens of each window that enter each layer, summed over the questions."""
        found = np.zeros((self.layers, len(self.raw)), dtype=np.int64)
        for depth in self.depth:
            for layer in range(self.layers):
                found[layer] += np.bincount(self.window[depth > layer], minlength=len(self.raw))
        return found

    def save(self, path: Path) -> None:
        """Write a dump; a run that is killed leaves none, or a whole one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".part")
        with half.open("wb") as file:
            np.savez_compressed(
                file,
                window=self.window.astype(np.int16),
                modality=self.modality.astype(np.uint8),
                token=self.token.astype(np.int16),
                depth=self.depth.astype(np.uint8),
                layers=np.int64(self.layers),
                raw=self.raw.astype(np.int64),
            )
        half.rename(path)

    @staticmethod
    def load(path: Path) -> Survivors:
        """Read a dump."""
        with np.load(path) as file:
            columns = {name: file[name] for name in ("window", "modality", "token", "depth", "raw")}
            return Survivors(**columns, layers=int(file["layers"]))


def slug(text: str) -> str:
    """A job's key as the name of a folder."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")


def depths(first: Ints, later: Sequence[Ints]) -> npt.NDArray[np.int64]:
    """int64 [t]: how many layers each token enters.

    Args:
        first: [t] ascending labels of the tokens that enter layer 0.
        later: labels of those that enter each layer 0 … L-1, each a part of the one before.
    """
    depth = np.zeros(len(first), dtype=np.int64)
    for layer, alive in enumerate(later):
        depth[np.searchsorted(first, alive)] = layer + 1
    return depth


def places(prompt: Prompted, selections: Sequence[Selection]) -> Columns:
    """Window, modality and raw index of each audiovisual token of a one-shot sequence, in its order; within a window
    and modality that is the order of the selection."""
    chunk, modality = prompt.chunk.numpy(), prompt.modality.numpy()
    token = np.zeros(len(chunk), dtype=np.int64)
    for number, selection in enumerate(selections):
        here = chunk == number
        token[here & (modality == Modality.VIDEO)] = selection.video.cpu().numpy()
        token[here & (modality == Modality.AUDIO)] = selection.audio.cpu().numpy()
    return chunk, modality, token
