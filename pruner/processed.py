"""What a Qwen Omni processor returns, read back into windows of video and sound with their place in the sequence."""

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
from pruner.transfer import upload
from pruner.windows import EncodedWindow

__all__ = ["Clip", "PlacedTokens", "Rows", "read_clip"]

Rows = npt.NDArray[np.int64]
"""Rows of a prompt, or places in a window, on the host."""


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
        embeddings: [n, hidden_size], images and a spoken question in place; the caller overwrites rows of `media`.
        positions: int64 [3, n].
        added: [n, levels * hidden_size], what is added to rows after the first layers, as `embeddings`; None without.
        media: bool [n], rows of the scene's video and sound.
        windows: in order of time, 2 s each.
        tail, question: as in `Prompted`.
        stop: ids that end an answer.
    """

    ids: Tensor
    embeddings: Tensor
    added: Tensor | None
    positions: Tensor
    media: npt.NDArray[np.bool_]
    windows: list[PlacedTokens]
    tail: int
    question: int
    stop: frozenset[int]


@dataclass(frozen=True)
class _Track:
    """Tokens of one video or one sound, the rows that stand for them and the window each belongs to.

    `saliency` is of a sound; `deep`, what is added to the tokens after the first layers, of a video.
    """

    tokens: Tensor
    rows: Rows
    window: Rows
    saliency: Tensor | None = None
    deep: Tensor | None = None


def read_clip(family: Family, thinker: Any, inputs: Mapping[str, Any], *, question_audio: int | None = None) -> Clip:
    """Runs the towers over a processor's inputs for one prompt.

    Args:
        family: of the model.
        thinker: of transformers.
        inputs: see `generate`.
        question_audio: which item of `input_features` is the question, from 0, or from -1 backwards; None for none.

    Raises:
        InputError: several prompts, placeholders that do not match the media, or no such question after the scene.
    """
    ids: Tensor = inputs["input_ids"]
    if ids.ndim != 2 or len(ids) != 1:
        raise InputError("input_ids", f"hold {len(ids)} prompts", "generate them one by one")
    device = thinker.lm_head.weight.device
    row, config = ids[0].to(device), thinker.config
    embeddings = thinker.get_input_embeddings()(row)
    numbers = row.cpu().numpy()
    images = np.flatnonzero(numbers == config.image_token_id)
    added = _place_images(family, thinker, inputs, upload(images, device), embeddings)
    videos = _videos(family, thinker, inputs, np.flatnonzero(numbers == config.video_token_id))
    if added is None and any(video.deep is not None for video in videos):
        deep = next(video.deep for video in videos if video.deep is not None)
        added = embeddings.new_zeros(len(row), deep.shape[-1])
    sounds = _sounds(family, thinker, inputs, np.flatnonzero(numbers == config.audio_token_id))
    positions = _positions(thinker, inputs, videos, sounds).to(device)
    media = np.isin(numbers, (config.video_token_id, config.audio_token_id))
    around = set[int]()
    if question_audio is not None:
        spoken = _spoken(videos, sounds, question_audio)
        sounds = [sound for sound in sounds if sound is not spoken]
        embeddings[upload(spoken.rows, device)] = spoken.tokens.to(embeddings.dtype)
        media[spoken.rows] = False
        if media[spoken.rows[0] :].any():
            raise InputError("question_audio", "comes before the end of the scene", "put the question last")
        around = {int(numbers[spoken.rows[0] - 1]), *numbers[spoken.rows[-1] + 1 :][:1].tolist()}
    tail, question, stop = _asking(thinker, numbers, media, around)
    return Clip(
        ids=row,
        embeddings=embeddings,
        added=added,
        positions=positions,
        media=media,
        windows=_windows(videos, sounds, _chunk(config)),
        tail=tail,
        question=question,
        stop=stop,
    )


def _chunk(config: Any) -> int:
    """Seconds of a window: of Qwen2.5-Omni's interleaving; Qwen3-Omni, which takes turns every second, names none."""
    return int(getattr(config, "seconds_per_chunk", 2))


def _place_images(
    family: Family, thinker: Any, inputs: Mapping[str, Any], here: Tensor, embeddings: Tensor
) -> Tensor | None:
    """Puts images into the embeddings, at the rows `here` (int64, device); returns what is added to the rows later, if
    they bring such a thing."""
    if inputs.get("pixel_values") is None:
        return None
    seen = _see(family, thinker, inputs["pixel_values"], inputs["image_grid_thw"])
    wide, width = torch.cat([tokens.flatten(0, 1) for tokens in seen]).to(embeddings.dtype), embeddings.shape[1]
    embeddings[here] = wide[:, :width]
    if wide.shape[1] == width:
        return None
    added = embeddings.new_zeros(len(embeddings), wide.shape[1] - width)
    added[here] = wide[:, width:]
    return added


def _see(family: Family, thinker: Any, pixels: Tensor, grids: Tensor) -> list[Tensor]:
    """Tokens [patches, per_patch, hidden * (1 + levels)] of each video or image."""
    found = []
    start = 0
    for patches, height, width in grids.tolist():
        count = patches * height * width
        reader = family.vision(thinker, height // MERGE, width // MERGE)
        found.append(reader.tokens(pixels[start : start + count].to(reader.device, reader.dtype)))
        start += count
    return found


def _videos(family: Family, thinker: Any, inputs: Mapping[str, Any], rows: Rows) -> list[_Track]:
    if inputs.get("pixel_values_videos") is None:
        return []
    config = thinker.config
    grids: Tensor = inputs["video_grid_thw"]
    pace = torch.as_tensor(inputs.get("video_second_per_grid", [1.0] * len(grids))).tolist()
    seen = _see(family, thinker, inputs["pixel_values_videos"], grids)
    width = int(config.text_config.hidden_size)
    tracks = []
    counts = [len(tokens) * tokens.shape[1] for tokens in seen]
    for tokens, seconds, here in zip(seen, pace, _shared_out(rows, counts, "video"), strict=True):
        ids = (np.arange(len(tokens)) * seconds * config.position_id_per_seconds).astype(np.int64)
        window = ids // int(config.position_id_per_seconds * _chunk(config))
        deep = tokens[..., width:] if tokens.shape[-1] > width else None
        tracks.append(_Track(tokens[..., :width], here, window, deep=deep))
    return tracks


def _sounds(family: Family, thinker: Any, inputs: Mapping[str, Any], rows: Rows) -> list[_Track]:
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
        window = np.arange(len(tokens)) // int(config.position_id_per_seconds * _chunk(config))
        tracks.append(_Track(tokens, here, window, saliency))
    return tracks


def _spoken(videos: Sequence[_Track], sounds: Sequence[_Track], which: int) -> _Track:
    """The sound that asks."""
    if not -len(sounds) <= which < len(sounds):
        raise InputError("question_audio", f"is {which}, of {len(sounds)} sounds", "count from 0, or from -1 backwards")
    if any(_inside(sounds[which], video) for video in videos):
        raise InputError("question_audio", f"{which} is the sound of a video", "name a sound of its own")
    return sounds[which]


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
    tokens = deep = heard = saliency = None
    seen_rows, heard_rows = nothing, nothing
    if video is not None and (here := video.window == number).any():
        which = upload(np.flatnonzero(here), video.tokens.device)
        tokens, deep = video.tokens[which], video.deep[which] if video.deep is not None else None
        seen_rows = video.rows.reshape(len(video.tokens), -1)[here].ravel()
    if sound is not None and sound.saliency is not None and (here := sound.window == number).any():
        index = upload(np.flatnonzero(here), sound.tokens.device)
        heard, saliency, heard_rows = sound.tokens[index], sound.saliency[index], sound.rows[here]
    first = number == 0
    window = EncodedWindow(float(start), seconds, tokens, heard, saliency, first, compression=1.0, deep=deep)
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
    positions: Tensor = found[:, 0].long()
    return positions


def _asking(thinker: Any, ids: Rows, media: npt.NDArray[np.bool_], around: set[int]) -> tuple[int, int, frozenset[int]]:
    """Rows of question and header, rows of the question alone, and the ids that end an answer.

    What asks begins after the scene's last row and ends before the header: words, speech, or both, without the tokens
    that open and close media at its ends (see `pruner.question`): those that the model's configuration names, and those
    `around` the speech.
    """
    config = thinker.config
    ends = getattr(thinker.generation_config, "eos_token_id", None) or config.text_config.eos_token_id
    stop = frozenset([ends] if isinstance(ends, int) else ends or [])
    ends_of = [f"{kind}_{end}_token_id" for kind in ("audio", "vision") for end in ("start", "end")]
    brackets = around | {getattr(config, name, None) for name in ends_of}
    start = int(np.flatnonzero(media)[-1]) + 1 if media.any() else 0
    while start < len(ids) - 1 and ids[start] in brackets:
        start += 1
    tail = ids[start:]
    header = np.flatnonzero(np.isin(tail, list(stop)))
    question = int(header[-1]) if len(header) and header[-1] else len(tail)
    while question > 1 and tail[question - 1] in brackets:
        question -= 1
    return len(tail), question, stop
