"""What a conversation hands to the decoder, on its way there: compressed, given its place, embedded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pruner.compress import AUDIO_KEEP, VIDEO_KEEP, MergeState, keep_audio, keep_video
from pruner.eviction import EvictionReport
from pruner.families.stack import TextStack
from pruner.passes import Extension
from pruner.sequence import MEDIA_ID, MediaChoice, Passage, SequenceState
from pruner.store import FusionStore, Mark
from pruner.transfer import upload
from pruner.windows import EncodedWindow, FuseReport, Tokens

__all__ = ["Place", "PlacedWindow", "PreparedWindow", "compressed", "extension"]


@dataclass(frozen=True)
class Place:
    """A point of the sequence to go back to: in the store and in the grammar."""

    mark: Mark
    state: SequenceState


@dataclass(frozen=True)
class PreparedWindow:
    """A window that was compressed and for which room was made.

    Attributes:
        window, kept, eviction: the window, what stays of it, and what left for it.
        choice: which tokens stay.
        video, audio: the same, int64 on the device.
        merge: where temporal merging stands after it.
    """

    window: EncodedWindow
    choice: MediaChoice
    video: Tensor
    audio: Tensor
    merge: MergeState | None
    kept: Tokens
    eviction: EvictionReport

    def embeddings(self) -> Tensor:
        """Of the tokens that stay, [v + a, hidden_size]."""
        window, parts = self.window, []
        if window.video is not None:
            parts.append(window.video.flatten(0, 1)[self.video])
        if window.audio is not None:
            parts.append(window.audio[self.audio])
        return torch.cat(parts)


@dataclass(frozen=True)
class PlacedWindow:
    """A window that was given its place, ready to be fused."""

    extension: Extension
    seen: Tokens
    kept: Tokens
    eviction: EvictionReport

    def report(self) -> FuseReport:
        """What became of it, once it is in the store."""
        store = self.extension.store
        return FuseReport(
            seen=self.seen,
            kept=self.kept,
            store_tokens=store.media,
            evicted=self.eviction.evicted,
            thinned_chunks=self.eviction.thinned_chunks,
            coverage=store.coverage,
        )


def compressed(
    window: EncodedWindow, merge: MergeState | None, device: torch.device
) -> tuple[Tensor, Tensor, MergeState | None]:
    """Intra-modality compression of a window.

    Args:
        window: as the towers left it.
        merge: where temporal merging stood after the window that it continues; None where it continues none.
        device: where places are wanted.

    Returns:
        places of the video and of the audio tokens that stay, int64, ascending; and where merging then stands.
    """
    seen = heard = torch.zeros(0, dtype=torch.int64, device=device)
    if window.video is not None:
        seen, merge = keep_video(window.video, merge, VIDEO_KEEP * window.compression)
    if window.saliency is not None:
        heard = keep_audio(window.saliency, AUDIO_KEEP * window.compression)
    return seen, heard, merge


def extension(
    stack: TextStack,
    store: FusionStore,
    passage: Passage,
    own: Tensor | None = None,
    places: npt.NDArray[np.int64] | None = None,
) -> Extension:
    """A passage's rows for a store, with their embeddings.

    Args:
        stack: embeds token ids.
        store: takes the rows.
        passage: the rows.
        own: [m, hidden_size], embeddings of the rows that come from no token id.
        places: int64 [m], where in `own` each such row finds its embedding; None where they lie in the rows' order.
    """
    text = passage.ids != MEDIA_ID
    embedded = stack.embed(upload(passage.ids[text], stack.device))
    if own is None:
        return Extension(store, passage.rows, embedded)
    # text first, then the others: where each row of the passage is in that order
    order = np.empty(len(text), dtype=np.int64)
    order[text] = np.arange(len(embedded))
    order[~text] = len(embedded) + (np.arange(len(own)) if places is None else places)
    both = torch.cat((embedded, own.to(embedded.dtype)))
    return Extension(store, passage.rows, both[upload(order, stack.device)])
