"""What a model is, as far as anyone who serves it must know; read without loading it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pruner.errors import InputError, UnsupportedModelError, WeightsError
from pruner.families.checkpoint import read_json, thinker_config
from pruner.families.family import Family
from pruner.families.frames import grid_size

__all__ = ["DEFAULT_FRAME_TOKENS", "LARGEST_FRAME_TOKENS", "ModelFacts", "read_facts"]

FACTS_FILE = "omnidrop.json"
"""Beside the weights: what a model's configuration does not say. Absent for Qwen's own, which use the defaults."""

DEFAULT_FRAME_TOKENS = 144
"""Video tokens a second of Qwen's models, where nobody says otherwise (the paper's 288 in 2 s)."""

LARGEST_FRAME_TOKENS = 768
"""Pixel limit of Qwen's video frames, in tokens."""


@dataclass(frozen=True)
class ModelFacts:
    """What a model is.

    Attributes:
        model_type: of its configuration.
        layers: decoder layers L.
        fusion_depth: layers F that are run as the stream flows; `0 < F < L`.
        hidden_size, kv_heads, head_dim: of the decoder.
        height, width: pixels of a frame; other frames are scaled to it.
        rows, columns: video tokens of a temporal patch (1 s).
        audio_rate: audio tokens, and position ids, a second.
        window_seconds: length of a full window.
        segment_windows: full windows after which a segment ends by itself; even.
        position_limit: ids the model was trained on, from 0.
        max_answer_tokens: default bound of an answer.
        fill_missing_tracks: whether a track that is not there is given as black or silence, because the model was
            never trained without one; otherwise its tokens are left out, as transformers does.
        system: default system prompt.
        spoken_questions: whether it was trained to take a question from speech, as Qwen's own were; a model that was
            not says so in its facts file.
        interleave_seconds: video and audio take turns in the sequence after so many seconds.
        shared_wrappers: whether the two tokens that open (close) a segment share one position id.
        deepstack: first decoder layers after which features of the vision encoder are added to video tokens.
    """

    model_type: str
    layers: int
    fusion_depth: int
    hidden_size: int
    kv_heads: int
    head_dim: int
    height: int
    width: int
    rows: int
    columns: int
    audio_rate: int
    window_seconds: int
    segment_windows: int
    position_limit: int
    max_answer_tokens: int
    fill_missing_tracks: bool
    system: str
    spoken_questions: bool = True
    interleave_seconds: int = 2
    shared_wrappers: bool = True
    deepstack: int = 0

    @property
    def video_rate(self) -> int:
        """Video tokens a second."""
        return self.rows * self.columns


def read_facts(
    directory: Path,
    families: tuple[Family, ...],
    *,
    fusion_depth: int | None = None,
    frame_size: tuple[int, int] | None = None,
    frame_tokens: int | None = None,
) -> ModelFacts:
    """Facts of a model directory.

    Args:
        families: those that are known.
        fusion_depth: overrides the model's own.
        frame_size: height and width of the source's frames, where the model does not prescribe one.
        frame_tokens: largest number of video tokens a second, where the model does not prescribe a frame.

    Raises:
        WeightsError: a file is missing or lacks what it must say.
        UnsupportedModelError: no family has this model type.
        InputError: a fusion depth, frame size or number of tokens outside what the model allows.
    """
    config = read_json(directory / "config.json")
    family = family_of(str(config.get("model_type")), families)
    thinker = thinker_config(config)
    ours = read_json(directory / FACTS_FILE) if (directory / FACTS_FILE).exists() else {}
    try:
        text, rate = thinker["text_config"], int(thinker.get("position_id_per_seconds", 25))
        layers, heads = int(text["num_hidden_layers"]), int(text["num_attention_heads"])
        hidden, kv_heads = int(text["hidden_size"]), int(text["num_key_value_heads"])
        limit = int(text.get("max_position_embeddings", 32_768))
        deepstack = family.deepstack(thinker["vision_config"])
    except KeyError as error:
        raise WeightsError(directory / "config.json", f"lacks {error}", "fetch the model again") from error
    except (TypeError, ValueError) as error:
        raise WeightsError(directory / "config.json", f"makes no sense ({error})", "fetch the model again") from error
    window = int(ours.get("window_seconds", thinker.get("seconds_per_chunk", 2)))
    pixels = family.token_pixels
    rows, columns = _grid(ours.get("frame_size"), frame_size, frame_tokens, pixels)
    trained = ours.get("position_limit")
    if trained is None and "max_windows_trained" in ours:
        trained = int(ours["max_windows_trained"]) * window * rate
    return ModelFacts(
        model_type=str(config["model_type"]),
        layers=layers,
        fusion_depth=_depth(fusion_depth, ours, layers, deepstack),
        hidden_size=hidden,
        kv_heads=kv_heads,
        head_dim=int(text.get("head_dim") or hidden // heads),
        height=pixels * rows,
        width=pixels * columns,
        rows=rows,
        columns=columns,
        audio_rate=rate,
        window_seconds=window,
        segment_windows=int(ours.get("segment_windows", 8)),
        position_limit=min(limit, int(trained)) if trained else limit,
        max_answer_tokens=int(ours.get("max_answer_tokens", 256)),
        fill_missing_tracks=bool(ours.get("fill_missing_tracks", False)),
        system=str(ours.get("system_prompt", family.system)),
        spoken_questions=bool(ours.get("spoken_questions", True)),
        interleave_seconds=family.interleave_seconds or window,
        shared_wrappers=family.shared_wrappers,
        deepstack=deepstack,
    )


def family_of(model_type: str, families: tuple[Family, ...]) -> Family:
    """The family with that model type.

    Raises:
        UnsupportedModelError: there is none.
    """
    for family in families:
        if model_type in family.model_types:
            return family
    raise UnsupportedModelError(model_type, tuple(name for family in families for name in family.model_types))


def _depth(asked: int | None, ours: Mapping[str, Any], layers: int, deepstack: int) -> int:
    depth = asked if asked is not None else int(ours.get("fusion_depth", layers // 2))
    lowest = max(1, deepstack)
    if not lowest <= depth < layers:
        remedy = "choose a layer inside the decoder"
        if deepstack:
            remedy += f", after the {deepstack} that take visual features"
        raise InputError("fusion_depth", f"{depth} is outside {lowest}…{layers - 1}", remedy)
    return depth


def _grid(prescribed: int | None, source: tuple[int, int] | None, tokens: int | None, pixels: int) -> tuple[int, int]:
    """Rows and columns of video tokens of a frame."""
    if prescribed is not None:
        return prescribed // pixels, prescribed // pixels
    most = tokens if tokens is not None else DEFAULT_FRAME_TOKENS
    if not 1 <= most <= LARGEST_FRAME_TOKENS:
        raise InputError("frame_tokens", f"{most} is outside 1…{LARGEST_FRAME_TOKENS}", "stay within the pixel limit")
    height, width = source or (1, 1)
    if height < 1 or width < 1:
        raise InputError("frame_size", f"{height} x {width} is no picture", "give height and width of the frames")
    return grid_size(height, width, most)
