"""Towers over batches of windows, and what a stream must remember between its windows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pruner.families.frames import fit
from pruner.families.mel import LEFT_CONTEXT, log_mel
from pruner.families.omni import OmniModel
from pruner.graphs import GraphPool, Recorded
from pruner.transfer import upload
from pruner.windows import EncodedWindow, RawWindow

__all__ = ["HearingState", "WindowEncoder"]

FEW = 4
"""Windows of a batch above which the device has enough to do."""
SILENCE = -10.0
"""log10 of the smallest mel power: the loudest value of a stream of which nothing has been heard."""


@dataclass
class HearingState:
    """What a stream's log-mel carries from window to window (see `pruner.families.mel`).

    Attributes:
        left: float32 [200], the last samples heard; None where there is no continuation.
        loudest: float32 [], log10 of the loudest mel power so far.
    """

    left: Tensor | None = None
    loudest: Tensor | None = None


class WindowEncoder:
    """Runs the towers of a model; windows of the same shape share a batch.

    Args:
        model: a loaded family.
        pool: records the towers' passes over few windows, which cost the host longer than the device; None to run all
            as they are.
    """

    def __init__(self, model: OmniModel, pool: GraphPool | None = None) -> None:
        self._model = model
        self._device = model.stack.device
        self._few: dict[str, Recorded] = {}
        if pool is not None:
            vision, audio = model.vision, model.audio
            self._few = {"vision": Recorded("vision", lambda frames: (vision(frames),), pool)}
            self._few["audio"] = Recorded("audio", lambda mel: audio(mel), pool)

    @torch.inference_mode()
    def encode(self, items: Sequence[tuple[HearingState, RawWindow]]) -> list[EncodedWindow]:
        """Encodes windows of different streams, at most one of each; the windows have been checked.

        The hearing states are moved on.
        """
        seen = self._see([window for _, window in items])
        heard = self._hear(items)
        results = []
        for index, (_, window) in enumerate(items):
            audio, saliency = heard.get(index, (None, None))
            video, deep = self._levels(seen.get(index))
            results.append(
                EncodedWindow(
                    start=window.start,
                    seconds=window.seconds,
                    video=video,
                    audio=audio,
                    saliency=saliency,
                    new_segment=window.new_segment,
                    compression=window.compression,
                    deep=deep,
                )
            )
        return results

    def _levels(self, tokens: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Parts a vision tower's output into tokens and what is added to them later."""
        if tokens is None or not self._model.facts.deepstack:
            return tokens, None
        width = self._model.stack.hidden_size
        return tokens[..., :width], tokens[..., width:]

    def _see(self, windows: Sequence[RawWindow]) -> dict[int, Tensor]:
        """Video tokens by index of the window."""
        tower, few = self._model.vision, self._few.get("vision")
        groups: dict[int, list[tuple[int, Tensor]]] = defaultdict(list)
        for index, window in enumerate(windows):
            if window.frames is not None:
                frames = fit(_tensor(window.frames), tower.height, tower.width)
                groups[len(frames)].append((index, frames))
        tokens = {}
        for group in groups.values():
            frames = upload(torch.stack([frames for _, frames in group]).numpy(), self._device)
            batch = few(frames)[0] if few is not None and len(group) <= FEW else tower(frames)
            tokens.update({index: one for (index, _), one in zip(group, batch, strict=True)})
        return tokens

    def _hear(self, items: Sequence[tuple[HearingState, RawWindow]]) -> dict[int, tuple[Tensor, Tensor]]:
        """Audio tokens and saliency by index of the window."""
        groups: dict[tuple[int, bool], list[tuple[int, HearingState, Tensor]]] = defaultdict(list)
        for index, (state, window) in enumerate(items):
            if window.samples is None or window.new_segment:
                state.left = None
            if window.samples is not None:
                samples = upload(_tensor(window.samples).numpy(), self._device)
                groups[len(samples), state.left is not None].append((index, state, samples))
        tokens = {}
        for (_, continued), group in groups.items():
            mel = self._mel(group, continued=continued)
            few = self._few.get("audio")
            encoded, saliency = few(mel) if few is not None and len(group) <= FEW else self._model.audio(mel)
            tokens.update({item[0]: (encoded[row], saliency[row]) for row, item in enumerate(group)})
        return tokens

    def _mel(self, group: Sequence[tuple[int, HearingState, Tensor]], *, continued: bool) -> Tensor:
        samples = torch.stack([one for _, _, one in group])
        silence = torch.full((), SILENCE, device=self._device)
        states = [state for _, state, _ in group]
        left = torch.stack([state.left for state in states if state.left is not None]) if continued else None
        before = torch.stack([silence if state.loudest is None else state.loudest for state in states])
        mel, loudest = log_mel(samples, left, before, bins=self._model.audio.bins)
        for row, state in enumerate(states):
            state.left, state.loudest = samples[row, -LEFT_CONTEXT:], loudest[row]
        return mel


def _tensor(array: npt.NDArray[np.generic]) -> Tensor:
    """The same numbers as a tensor; copied only where torch could not share them (read-only or reversed memory)."""
    return torch.from_numpy(np.require(array, requirements=("C", "W")))
