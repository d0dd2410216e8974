"""What a Qwen2.5-Omni processor returns, read back into windows of video and sound with their place in the sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pruner.errors import InputError
from pruner.families.audio import AudioTower
from pruner.families.frames import MERGE
from pruner.families.qwen2_5_omni import part
from pruner.families.vision import VisionTower
from pruner.windows import EncodedWindow

__all__ = ["Clip", "PlacedTokens", "read_clip"]

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PlacedTokens:
    """A window and the rows of the prompt that stand for its tokens, `video` [v] and `audio` [a]."""

    window: EncodedWindow
    video: Rows
    audio: Rows


@dataclass(frozen=True)
class Clip:
    """A prompt after the towers.

    Attributes:
        ids: int64 [n].
        embeddings: [n, hidden_size], images in place; rows of video and sound are overwritten by the caller.
        positions: int64 [3, n].
        media: bool [n], rows of video and sound.
        windows: in order of time, 2 s each.
        tail, question: as in `Prompted`.
        stop: ids that end an answer.
    """

    ids: Tensor
    embeddings: Tensor
    positions: Tensor
    media: npt.NDArray[np.bool_]
    windows: list[PlacedTokens]
    tail: int
    question: int
    stop: frozenset[int]


@dataclass(frozen=True)
class _Track:
    """Tokens of one video or one sound, the rows that stand for them and the window each belongs to."""

    tokens: Tensor
    saliency: Tensor | None
    rows: Rows
    window: Rows


def read_clip(thinker: Any, inputs: Mapping[str, Any]) -> Clip:
    """Runs the towers over a processor's inputs for one prompt.

    Raises:
        InputError: several prompts, or placeholders that do not match the media.
    """
    ids: Tensor = inputs["input_ids"]
    if ids.ndim != 2 or len(ids) != 1:
        raise InputError("input_ids", f"hold {len(ids)} prompts", "generate them one by one")
    device = thinker.lm_head.weight.device
    row, config = ids[0].to(device), thinker.config
    embeddings = thinker.get_input_embeddings()(row)
    _place_images(thinker, inputs, row, embeddings)
    numbers = row.cpu().numpy()
    videos = _videos(thinker, inputs, np.flatnonzero(numbers == config.video_token_id))
    sounds = _sounds(thinker, inputs, np.flatnonzero(numbers == config.audio_token_id))
    media = np.isin(numbers, (config.video_token_id, config.audio_token_id))
    tail, question, stop = _asking(thinker, numbers, media)
    return Clip(
        ids=row,
        embeddings=embeddings,
        positions=_positions(thinker, inputs, videos, sounds).to(device),
        media=media,
        windows=_windows(videos, sounds, int(config.seconds_per_chunk)),
        tail=tail,
        question=question,
        stop=stop,
    )


def _place_images(thinker: Any, inputs: Mapping[str, Any], ids: Tensor, embeddings: Tensor) -> None:
    if inputs.get("pixel_values") is None:
        return
    tokens = [tokens.flatten(0, 1) for tokens, _ in _see(thinker, inputs["pixel_values"], inputs["image_grid_thw"])]
    embeddings[ids == thinker.config.image_token_id] = torch.cat(tokens).to(embeddings.dtype)


def _see(thinker: Any, pixels: Tensor, grids: Tensor) -> list[tuple[Tensor, int]]:
    """Tokens [patches, per_patch, hidden] of each video or image, and how many there are."""
    tower = part(thinker, "visual")
    found = []
    start = 0
    for patches, height, width in grids.tolist():
        count = patches * height * width
        reader = VisionTower(tower, height // MERGE, width // MERGE)
        tokens = reader.tokens(pixels[start : start + count].to(reader.device, reader.dtype))
        found.append((tokens, tokens.shape[0] * tokens.shape[1]))
        start += count
    return found


def _videos(thinker: Any, inputs: Mapping[str, Any], rows: Rows) -> list[_Track]:
    if inputs.get("pixel_values_videos") is None:
        return []
    config = thinker.config
    grids: Tensor = inputs["video_grid_thw"]
    pace = torch.as_tensor(inputs.get("video_second_per_grid", [1.0] * len(grids))).tolist()
    seen = _see(thinker, inputs["pixel_values_videos"], grids)
    tracks = []
    for (tokens, _), seconds, here in zip(seen, pace, _shared_out(rows, [n for _, n in seen], "video"), strict=True):
        ids = (np.arange(len(tokens)) * seconds * config.position_id_per_seconds).astype(np.int64)
        window = ids // int(config.position_id_per_seconds * config.seconds_per_chunk)
        tracks.append(_Track(tokens, None, here, window))
    return tracks


def _sounds(thinker: Any, inputs: Mapping[str, Any], rows: Rows) -> list[_Track]:
    if inputs.get("input_features") is None:
        return []
    config = thinker.config
    tower = AudioTower(part(thinker, "audio_tower"))
    heard = []
    for features, mask in zip(inputs["input_features"], inputs["feature_attention_mask"], strict=True):
        mel = features[:, mask.bool()].to(tower.device)
        blocks = [tower(block[None]) for block in torch.split(mel, tower.block_frames, dim=1)]
        heard.append((torch.cat([one[0] for one, _ in blocks]), torch.cat([seen[0] for _, seen in blocks])))
    tracks = []
    for (tokens, saliency), here in zip(heard, _shared_out(rows, [len(t) for t, _ in heard], "audio"), strict=True):
        window = np.arange(len(tokens)) // int(config.position_id_per_seconds * config.seconds_per_chunk)
        tracks.append(_Track(tokens, saliency, here, window))
    return tracks


def _shared_out(rows: Rows, counts: Sequence[int], what: str) -> list[Rows]:
    if len(rows) != sum(counts):
        found = f"{len(rows)} {what} placeholders for {sum(counts)} tokens"
        raise InputError("input_ids", found, "use the processor's inputs unchanged")
    return np.split(rows, np.cumsum(counts)[:-1])


def _inside(sound: _Track, video: _Track) -> bool:
    """Whether a sound is the video's own: nothing closes the video before the sound begins."""
    return bool(video.rows[0] < sound.rows[0] <= video.rows[-1] + 1)


def _windows(videos: Sequence[_Track], sounds: Sequence[_Track], seconds: int) -> list[PlacedTokens]:
    pairs: list[tuple[_Track | None, _Track | None]] = []
    own = {id(sound): video for video in videos for sound in sounds if _inside(sound, video)}
    pairs += [(video, next((s for s in sounds if own.get(id(s)) is video), None)) for video in videos]
    pairs += [(None, sound) for sound in sounds if id(sound) not in own]
    pairs.sort(key=lambda pair: int(next(track for track in pair if track is not None).rows[0]))
    windows: list[PlacedTokens] = []
    for video, sound in pairs:
        last = max(int(track.window[-1]) for track in (video, sound) if track is not None)
        for number in range(last + 1):
            windows.append(_window(video, sound, number, len(windows) * seconds, seconds))
    return windows


def _window(video: _Track | None, sound: _Track | None, number: int, start: int, seconds: int) -> PlacedTokens:
    nothing = np.zeros(0, dtype=np.int64)
    tokens = heard = saliency = None
    seen_rows, heard_rows = nothing, nothing
    if video is not None and (here := video.window == number).any():
        tokens = video.tokens[torch.from_numpy(here).to(video.tokens.device)]
        seen_rows = video.rows.reshape(len(video.tokens), -1)[here].ravel()
    if sound is not None and sound.saliency is not None and (here := sound.window == number).any():
        index = torch.from_numpy(here).to(sound.tokens.device)
        heard, saliency, heard_rows = sound.tokens[index], sound.saliency[index], sound.rows[here]
    window = EncodedWindow(float(start), seconds, tokens, heard, saliency, new_segment=number == 0, compression=1.0)
    return PlacedTokens(window, seen_rows, heard_rows)


def _positions(thinker: Any, inputs: Mapping[str, Any], videos: Sequence[_Track], sounds: Sequence[_Track]) -> Tensor:
    mask = inputs.get("attention_mask")
    features = inputs.get("feature_attention_mask")
    pace = inputs.get("video_second_per_grid")
    found, _ = thinker.get_rope_index(
        inputs["input_ids"],
        inputs.get("image_grid_thw"),
        inputs.get("video_grid_thw"),
        mask if mask is not None else torch.ones_like(inputs["input_ids"]),
        any(_inside(sound, video) for sound in sounds for video in videos),
        features.sum(-1) if features is not None else None,
        torch.as_tensor(pace) if pace is not None else None,
    )
    positions: Tensor = found[:, 0]
    return positions


def _asking(thinker: Any, ids: Rows, media: npt.NDArray[np.bool_]) -> tuple[int, int, frozenset[int]]:
    """Rows of question and header, rows of the question alone, and the ids that end an answer."""
    config = thinker.config
    ends = getattr(thinker.generation_config, "eos_token_id", None) or config.text_config.eos_token_id
    stop = frozenset([ends] if isinstance(ends, int) else ends or [])
    closing = (getattr(config, "audio_end_token_id", None), getattr(config, "vision_end_token_id", None))
    start = int(np.flatnonzero(media)[-1]) + 1 if media.any() else 0
    while start < len(ids) - 1 and ids[start] in closing:
        start += 1
    tail = ids[start:]
    header = np.flatnonzero(np.isin(tail, list(stop)))
    question = int(header[-1]) if len(header) and header[-1] else len(tail)
    return len(tail), question, stop
