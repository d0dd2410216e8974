"""Towers over batches of windows, and what a stream must remember between its windows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pruner.families.frames import TEMPORAL, fit
from pruner.families.mel import LEFT_CONTEXT, log_mel
from pruner.families.omni import OmniModel
from pruner.graphs import GraphPool, Recorded
from pruner.stillness import BLOCKS, Shown, stands_in
from pruner.transfer import upload
from pruner.windows import EncodedWindow, RawWindow

__all__ = ["StreamState", "WindowEncoder"]

FEW_WINDOWS, FEW_SECONDS = 4, 8
"""Windows of sound and seconds of picture in a batch above which the device has enough to do."""
SILENCE = -10.0
"""log10 of the smallest mel power: the loudest value of a stream of which nothing has been heard."""


@dataclass
class StreamState:
    """What the encoders carry from a stream's window to its next.

    Attributes:
        left: float32 [200], the last samples heard (see `pruner.families.mel`); None where there is no continuation.
        loudest: float32 [], log10 of the loudest mel power so far; None before any sound.
        shown: the last second of picture that was encoded; None before any, and where nothing is shared.
    """

    left: Tensor | None = None
    loudest: Tensor | None = None
    shown: Shown | None = None


_Origin = int | Tensor
"""Where the tokens of a second come from: the row of a batch, or what was encoded before it."""


@dataclass(frozen=True)
class _Seen:
    """A window's picture after the tower: tokens [seconds, per_patch, width], and how many seconds were not encoded."""

    tokens: Tensor
    shared: int


class WindowEncoder:
    """Runs the towers of a model; windows of different streams share a batch.

    Args:
        model: a loaded family.
        pool: records the towers' passes over few windows, which cost the host longer than the device; None to run all
            as they are.
        still_change: levels of 255 up to which a second of picture takes the tokens of the one encoded before it (see
            `pruner.stillness`); None to encode all.
    """

    def __init__(self, model: OmniModel, pool: GraphPool | None = None, *, still_change: float | None = None) -> None:
        self._model = model
        self._device = model.stack.device
        self._still_change = still_change
        self._few: dict[str, Recorded] = {}
        if pool is not None:
            vision, audio = model.vision, model.audio
            self._few = {"vision": Recorded("vision", lambda frames: (vision(frames),), pool)}
            self._few["audio"] = Recorded("audio", lambda mel: audio(mel), pool)

    @torch.inference_mode()
    def encode(self, items: Sequence[tuple[StreamState, RawWindow]]) -> list[EncodedWindow]:
        """Encodes windows of different streams, at most one of each; the windows have been checked.

        The states are moved on.
        """
        seen = self._see(items)
        heard = self._hear(items)
        results = []
        for index, (_, window) in enumerate(items):
            audio, saliency = heard.get(index, (None, None))
            picture = seen.get(index)
            video, deep = self._levels(picture.tokens if picture else None)
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
                    shared=picture.shared if picture else 0,
                )
            )
        return results

    def _levels(self, tokens: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Parts a vision tower's output into tokens and what is added to them later."""
        if tokens is None or not self._model.facts.deepstack:
            return tokens, None
        width = self._model.stack.hidden_size
        return tokens[..., :width], tokens[..., width:]

    def _see(self, items: Sequence[tuple[StreamState, RawWindow]]) -> dict[int, _Seen]:
        """What is seen, by index of the window. Seconds of all windows share one batch, whatever their lengths."""
        fresh: list[Tensor] = []  # what the tower must see
        origins: dict[int, list[_Origin]] = {}
        tower = self._model.vision
        for index, (state, window) in enumerate(items):
            if window.frames is None:
                continue
            frames = fit(_tensor(window.frames), tower.height, tower.width)
            origins[index] = self._origins(state.shown, frames.reshape(-1, TEMPORAL, *frames.shape[1:]), fresh)
        rows = self._encoded(fresh)
        if self._still_change is not None:
            for index, (*_, last) in origins.items():
                if isinstance(last, int):
                    # copies: parts would keep the whole batch alive
                    items[index][0].shown = Shown(fresh[last].clone(), rows[last].clone())
        return {index: _gathered(origin, rows) for index, origin in origins.items()}

    def _origins(self, shown: Shown | None, seconds: Tensor, fresh: list[Tensor]) -> list[_Origin]:
        """Whence a window [seconds, 2, height, width, 3] has its tokens; what must be encoded joins `fresh`."""
        most, side = self._still_change, self._model.vision.height // self._model.vision.rows // BLOCKS
        before, origin = (None, -1) if shown is None else (shown.frames, shown.tokens)
        found: list[_Origin] = []
        for second in seconds:
            if before is None or most is None or not stands_in(before, second, most, side):
                before, origin = second, len(fresh)
                fresh.append(second)
            found.append(origin)
        return found

    def _encoded(self, fresh: Sequence[Tensor]) -> Tensor:
        """Tokens of seconds of picture, [n, per_patch, width]."""
        if not fresh:
            return torch.empty(0, device=self._device)
        frames = upload(torch.stack(list(fresh)).numpy(), self._device)
        few = self._few.get("vision")
        tokens = few(frames)[0] if few is not None and len(frames) <= FEW_SECONDS else self._model.vision(frames)
        return tokens[:, 0]

    def _hear(self, items: Sequence[tuple[StreamState, RawWindow]]) -> dict[int, tuple[Tensor, Tensor]]:
        """Audio tokens and saliency by index of the window."""
        groups: dict[tuple[int, bool], list[tuple[int, StreamState, RawWindow]]] = defaultdict(list)
        for index, (state, window) in enumerate(items):
            if window.samples is None or window.new_segment:
                state.left = None
            if window.samples is not None:
                groups[len(window.samples), state.left is not None].append((index, state, window))
        tokens = {}
        for group in groups.values():
            mel = self._mel([(state, window) for _, state, window in group])
            few = self._few.get("audio")
            encoded, saliency = few(mel) if few is not None and len(group) <= FEW_WINDOWS else self._model.audio(mel)
            tokens.update({item[0]: (encoded[row], saliency[row]) for row, item in enumerate(group)})
        return tokens

    def _mel(self, group: Sequence[tuple[StreamState, RawWindow]]) -> Tensor:
        """Features of windows of one length, that all continue a stream or all begin one."""
        heard = [_tensor(window.samples) for _, window in group if window.samples is not None]
        samples = upload(torch.stack(heard).numpy(), self._device)
        silence = torch.full((), SILENCE, device=self._device)
        states = [state for state, _ in group]
        context = [state.left for state in states if state.left is not None]
        left = torch.stack(context) if context else None
        before = torch.stack([silence if state.loudest is None else state.loudest for state in states])
        mel, loudest = log_mel(samples, left, before, bins=self._model.audio.bins)
        for row, (state, window) in enumerate(group):
            state.left, state.loudest = _carried(state.left, samples[row], window.padding), loudest[row]
        return mel


def _carried(left: Tensor | None, samples: Tensor, padding: int) -> Tensor | None:
    """What the next window reads of the sound before it; None where that is too little."""
    heard = samples[: len(samples) - padding]
    if left is not None and len(heard) < LEFT_CONTEXT:
        heard = torch.cat((left, heard))
    return heard[-LEFT_CONTEXT:] if len(heard) >= LEFT_CONTEXT else None


def _gathered(origins: Sequence[_Origin], rows: Tensor) -> _Seen:
    """The tokens of a window."""
    fresh = [one for one in origins if isinstance(one, int)]
    if len(set(fresh)) == len(origins):  # rows of a window follow one another
        return _Seen(rows[fresh[0] : fresh[-1] + 1], 0)
    tokens = torch.stack([rows[one] if isinstance(one, int) else one for one in origins])
    return _Seen(tokens, len(origins) - len(set(fresh)))


def _tensor(array: npt.NDArray[np.generic]) -> Tensor:
    """The same numbers as a tensor; copied only where torch could not share them (read-only or reversed memory)."""
    return torch.from_numpy(np.require(array, requirements=("C", "W")))
