"""The towers over a processor's inputs: each video and each sound as a track of tokens with the rows they stand in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pruner.errors import InputError
from pruner.families.family import Family
from pruner.families.frames import MERGE

__all__ = ["Rows", "Track", "chunk_seconds", "inside", "read_sounds", "read_videos", "see"]

Rows = npt.NDArray[np.int64]
"""Rows of a prompt, or places in a window, on the host."""


@dataclass(frozen=True)
class Track:
    """One video or one sound of a prompt.

    Attributes:
        tokens: of a video [patches, per_patch, hidden_size], of a sound [n, hidden_size].
        rows: the prompt's rows that stand for them, one a token, in order.
        window: the window that each patch, or each token of a sound, belongs to; counted from the track's beginning.
        saliency: [n], of a sound; None of a video.
        deep: [patches, per_patch, levels * hidden_size], what is added to a video's tokens after the first layers; None
            where there is no such thing.
    """

    tokens: Tensor
    rows: Rows
    window: Rows
    saliency: Tensor | None = None
    deep: Tensor | None = None


def see(family: Family, thinker: Any, pixels: Tensor, grids: Tensor) -> list[Tensor]:
    """Tokens [patches, per_patch, hidden * (1 + levels)] of each video or image."""
    found = []
    start = 0
    for patches, height, width in grids.tolist():
        count = patches * height * width
        reader = family.vision(thinker, height // MERGE, width // MERGE)
        found.append(reader.tokens(pixels[start : start + count].to(reader.device, reader.dtype)))
        start += count
    return found


def read_videos(family: Family, thinker: Any, inputs: Mapping[str, Any], rows: Rows) -> list[Track]:
    """The videos of a prompt, in its order; `rows` hold their placeholders.

    Raises:
        InputError: there are more or fewer placeholders than tokens.
    """
    if inputs.get("pixel_values_videos") is None:
        return []
    config = thinker.config
    grids: Tensor = inputs["video_grid_thw"]
    pace = torch.as_tensor(inputs.get("video_second_per_grid", [1.0] * len(grids))).tolist()
    seen = see(family, thinker, inputs["pixel_values_videos"], grids)
    width = int(config.text_config.hidden_size)
    tracks = []
    counts = [len(tokens) * tokens.shape[1] for tokens in seen]
    for tokens, seconds, here in zip(seen, pace, _shared_out(rows, counts, "video"), strict=True):
        ids = (np.arange(len(tokens)) * seconds * config.position_id_per_seconds).astype(np.int64)
        window = ids // int(config.position_id_per_seconds * chunk_seconds(config))
        deep = tokens[..., width:] if tokens.shape[-1] > width else None
        tracks.append(Track(tokens[..., :width], here, window, deep=deep))
    return tracks


def read_sounds(family: Family, thinker: Any, inputs: Mapping[str, Any], rows: Rows) -> list[Track]:
    """The sounds of a prompt, those of videos included, in its order; `rows` hold their placeholders.

    Raises:
        InputError: there are more or fewer placeholders than tokens.
    """
    if inputs.get("input_features") is None:
        return []
    config = thinker.config
    tower = family.audio(thinker)
    heard = []
    for features, mask in zip(inputs["input_features"], inputs["feature_attention_mask"], strict=True):
        mel = features[:, mask.bool()].to(tower.device)
        blocks = [tower(block[None]) for block in torch.split(mel, tower.block_frames, dim=1)]
        heard.append((torch.cat([one[0] for one, _ in blocks]), torch.cat([seen[0] for _, seen in blocks])))
    tracks = []
    for (tokens, saliency), here in zip(heard, _shared_out(rows, [len(t) for t, _ in heard], "audio"), strict=True):
        window = np.arange(len(tokens)) // int(config.position_id_per_seconds * chunk_seconds(config))
        tracks.append(Track(tokens, here, window, saliency))
    return tracks


def _shared_out(rows: Rows, counts: Sequence[int], what: str) -> list[Rows]:
    if len(rows) != sum(counts):
        found = f"{len(rows)} {what} placeholders for {sum(counts)} tokens"
        raise InputError("input_ids", found, "use the processor's inputs unchanged")
    return np.split(rows, np.cumsum(counts)[:-1])


def inside(sound: Track, video: Track) -> bool:
    """Whether a sound is the video's own: nothing closes the video before the sound begins."""
    return bool(video.rows[0] < sound.rows[0] <= video.rows[-1] + 1)


def chunk_seconds(config: Any) -> int:
    """Seconds of a window: of Qwen2.5-Omni's interleaving; Qwen3-Omni, which takes turns every second, names none."""
    return int(getattr(config, "seconds_per_chunk", 2))
