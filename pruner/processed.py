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
from pruner.tracks import Rows, Track, chunk_seconds, inside, read_sounds, read_videos, see
from pruner.transfer import upload
from pruner.windows import EncodedWindow

__all__ = ["Clip", "PlacedTokens", "read_clip"]


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
    added = _place_images(family, thinker, inputs, np.flatnonzero(numbers == config.image_token_id), embeddings)
    videos = read_videos(family, thinker, inputs, np.flatnonzero(numbers == config.video_token_id))
    if added is None and any(video.deep is not None for video in videos):
        deep = next(video.deep for video in videos if video.deep is not None)
        added = embeddings.new_zeros(len(row), deep.shape[-1])
    sounds = read_sounds(family, thinker, inputs, np.flatnonzero(numbers == config.audio_token_id))
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
    stop = _ends(family, thinker)
    tail, question = _asking(config, numbers, media, around, stop)
    return Clip(
        ids=row,
        embeddings=embeddings,
        added=added,
        positions=positions,
        media=media,
        windows=_windows(videos, sounds, chunk_seconds(config)),
        tail=tail,
        question=question,
        stop=stop,
    )


def _place_images(
    family: Family, thinker: Any, inputs: Mapping[str, Any], rows: Rows, embeddings: Tensor
) -> Tensor | None:
    """Puts images into the embeddings, at `rows`; returns what is added to these later, if they bring such a thing."""
    if inputs.get("pixel_values") is None:
        return None
    seen = see(family, thinker, inputs["pixel_values"], inputs["image_grid_thw"])
    wide, width = torch.cat([tokens.flatten(0, 1) for tokens in seen]).to(embeddings.dtype), embeddings.shape[1]
    here = upload(rows, embeddings.device)
    embeddings[here] = wide[:, :width]
    if wide.shape[1] == width:
        return None
    added = embeddings.new_zeros(len(embeddings), wide.shape[1] - width)
    added[here] = wide[:, width:]
    return added


def _spoken(videos: Sequence[Track], sounds: Sequence[Track], which: int) -> Track:
    """The sound that asks."""
    if not -len(sounds) <= which < len(sounds):
        raise InputError("question_audio", f"is {which}, of {len(sounds)} sounds", "count from 0, or from -1 backwards")
    if any(inside(sounds[which], video) for video in videos):
        raise InputError("question_audio", f"{which} is the sound of a video", "name a sound of its own")
    return sounds[which]


def _windows(videos: Sequence[Track], sounds: Sequence[Track], seconds: int) -> list[PlacedTokens]:
    pairs: list[tuple[Track | None, Track | None]] = []
    own = {id(sound): video for video in videos for sound in sounds if inside(sound, video)}
    pairs += [(video, next((s for s in sounds if own.get(id(s)) is video), None)) for video in videos]
    pairs += [(None, sound) for sound in sounds if id(sound) not in own]
    pairs.sort(key=lambda pair: int(next(track for track in pair if track is not None).rows[0]))
    windows: list[PlacedTokens] = []
    for video, sound in pairs:
        last = max(int(track.window[-1]) for track in (video, sound) if track is not None)
        for number in range(last + 1):
            windows.append(_window(video, sound, number, len(windows) * seconds, seconds))
    return windows


def _window(video: Track | None, sound: Track | None, number: int, start: int, seconds: int) -> PlacedTokens:
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


def _positions(thinker: Any, inputs: Mapping[str, Any], videos: Sequence[Track], sounds: Sequence[Track]) -> Tensor:
    mask = inputs.get("attention_mask")
    features = inputs.get("feature_attention_mask")
    pace = inputs.get("video_second_per_grid")
    found, _ = thinker.get_rope_index(
        inputs["input_ids"],
        inputs.get("image_grid_thw"),
        inputs.get("video_grid_thw"),
        mask if mask is not None else torch.ones_like(inputs["input_ids"]),
        any(inside(sound, video) for sound in sounds for video in videos),
        features.sum(-1) if features is not None else None,
        torch.as_tensor(pace) if pace is not None else None,
    )
    positions: Tensor = found[:, 0].long()
    return positions


def _ends(family: Family, thinker: Any) -> frozenset[int]:
    """The ids that end an answer. Published thinkers name them in different places, some in none."""
    config = thinker.config
    for where in (thinker.generation_config, config, config.text_config):
        ends = getattr(where, "eos_token_id", None)
        if ends is not None:
            return frozenset([ends] if isinstance(ends, int) else ends)
    return frozenset([family.end])


def _asking(
    config: Any, ids: Rows, media: npt.NDArray[np.bool_], around: set[int], stop: frozenset[int]
) -> tuple[int, int]:
    """Rows of question and header, and rows of the question alone.

    What asks begins after the scene's last row and ends before the header: words, speech, or both, without the tokens
    that open and close media at its ends (see `pruner.question`): those that the model's configuration names, and those
    `around` the speech.
    """
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
    return len(tail), question
