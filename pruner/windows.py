"""A window of media on its way to the decoder: raw, encoded, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from torch import Tensor

from pruner.errors import InputError
from pruner.families.frames import TEMPORAL
from pruner.families.mel import SAMPLE_RATE

__all__ = ["EncodedWindow", "FuseReport", "RawWindow", "Tokens"]


@dataclass(frozen=True)
class Tokens:
    """A number of tokens by modality."""

    video: int
    audio: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.video + self.audio


@dataclass(frozen=True)
class RawWindow:
    """One window of media as a service cuts it: whole seconds, at most the model's window.

    Attributes:
        start: stream seconds at which it begins.
        frames: uint8 [T, H, W, 3] RGB at 2 frames a second, T even; any H and W; None without a video track. May be
            shorter than the sound (a service under load leaves frames out).
        samples: float32 [16000 * seconds] mono in [-1, 1]; None without an audio track.
        new_segment: media were lost, or a track or the picture's shape changed, just before this window.
        compression: factor on the shares that intra-modality compression keeps, in (0, 1]; below 1 under load.
        padding: samples at the end that are no sound but complete a last second that a question cut short: the next
            window goes on before them.
    """

    start: float
    frames: npt.NDArray[np.uint8] | None
    samples: npt.NDArray[np.float32] | None
    new_segment: bool = False
    compression: float = 1.0
    padding: int = 0

    @property
    def seconds(self) -> int:
        """Length of the window."""
        if self.samples is not None:
            return len(self.samples) // SAMPLE_RATE
        return len(self.frames) // TEMPORAL if self.frames is not None else 0

    def filled(self, height: int, width: int) -> RawWindow:
        """The same with black frames or silence for a track that is not there."""
        frames, samples = self.frames, self.samples
        if frames is None:
            frames = np.zeros((TEMPORAL * self.seconds, height, width, 3), dtype=np.uint8)
        if samples is None:
            samples = np.zeros(SAMPLE_RATE * self.seconds, dtype=np.float32)
        return replace(self, frames=frames, samples=samples)

    def check(self, window_seconds: int) -> None:
        """Raises InputError unless the window is what this class says and at most `window_seconds` long."""
        if self.frames is None and self.samples is None:
            raise InputError("window", "has neither frames nor samples", "leave out windows without media")
        if not 0 < self.compression <= 1:
            raise InputError("compression", f"{self.compression} is outside (0, 1]", "use 1.0 for the usual shares")
        if not np.isfinite(self.start):
            raise InputError("start", f"{self.start} is no time", "give stream seconds")
        if self.samples is not None:
            self._check_samples(self.samples)
        if self.frames is not None:
            self._check_frames(self.frames)
        if not 1 <= self.seconds <= window_seconds:
            raise InputError("window", f"is {self.seconds} s long", f"cut windows of 1 to {window_seconds} s")

    def _check_samples(self, samples: npt.NDArray[np.float32]) -> None:
        if samples.ndim != 1 or samples.dtype != np.float32 or len(samples) % SAMPLE_RATE:
            found = f"are {samples.dtype} {samples.shape}"
            raise InputError("samples", found, "give float32 mono, whole seconds at 16 kHz")
        if not 0 <= self.padding <= len(samples):
            found = f"{self.padding} is outside 0 to {len(samples)}"
            raise InputError("padding", found, "give the number of samples at the end that are no sound")
        if not np.isfinite(samples.sum()):
            raise InputError("samples", "are not finite", "check the decoder of the source")

    def _check_frames(self, frames: npt.NDArray[np.uint8]) -> None:
        if frames.ndim != 4 or frames.dtype != np.uint8 or frames.shape[3] != 3 or 0 in frames.shape:
            raise InputError("frames", f"are {frames.dtype} {frames.shape}", "give uint8 [T, H, W, 3] RGB")
        if len(frames) % TEMPORAL or len(frames) > TEMPORAL * self.seconds:
            found = f"{len(frames)} frames for {self.seconds} s"
            raise InputError("frames", found, "give two frames a second, repeating the last of an unfinished one")


@dataclass(frozen=True)
class EncodedWindow:
    """A window after the towers; not yet part of any sequence.

    Attributes:
        window: what was encoded, without its media.
        seconds: its length.
        video: [patches, per_patch, hidden_size] tokens; None without video.
        audio: [n, hidden_size] tokens; None without sound.
        saliency: float32 [n], attention each audio token receives in the encoder; None without sound.
        deep: [patches, per_patch, levels * hidden_size], what is added to video tokens after each of the first decoder
            layers; None without video, or where the family adds nothing.
        shared: patches that were not encoded: their tokens are those of an earlier one (see `pruner.stillness`).
    """

    start: float
    seconds: int
    video: Tensor | None
    audio: Tensor | None
    saliency: Tensor | None
    new_segment: bool
    compression: float
    deep: Tensor | None = None
    shared: int = 0

    @property
    def seen(self) -> Tokens:
        """Raw tokens, before compression."""
        video = self.video.shape[0] * self.video.shape[1] if self.video is not None else 0
        return Tokens(video, len(self.audio) if self.audio is not None else 0)


@dataclass(frozen=True)
class FuseReport:
    """What became of a window.

    Attributes:
        seen: its raw tokens.
        kept: tokens after intra-modality compression, which entered layer 0.
        store_tokens: audiovisual tokens of the conversation now in the store.
        evicted: audiovisual tokens that had to leave for it.
        thinned_chunks: earlier windows that left with their last token.
        coverage: share of past windows still represented.
    """

    seen: Tokens
    kept: Tokens
    store_tokens: int
    evicted: int
    thinned_chunks: int
    coverage: float
