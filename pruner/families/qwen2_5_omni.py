"""Qwen2.5-Omni thinkers: nano-omni, 3B and 7B, in the module layouts of transformers 5.17 and 5.23.

5.17   thinker.model.layers                  thinker.audio_tower         thinker.visual
5.23   thinker.model.language_model.layers   thinker.model.audio_tower   thinker.model.visual
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from pruner.errors import InputError, UnsupportedModelError, WeightsError
from pruner.families.audio import AudioTower
from pruner.families.frames import grid_size
from pruner.families.prompt import Prompt
from pruner.families.stack import TextStack
from pruner.families.vision import VisionTower

__all__ = ["MODEL_TYPES", "ModelFacts", "OmniModel", "read_facts"]

MODEL_TYPES = ("qwen2_5_omni", "qwen2_5_omni_thinker")

FACTS_FILE = "omnidrop.json"
"""Beside the weights: what a model's configuration does not say. Absent for Qwen's own, which use the defaults."""

_QWEN_SYSTEM = (
    "You are Qwen, a virtual human developed by the Qwen Team, Alibaba Group, capable of perceiving auditory and "
    "visual inputs, as well as generating text and speech."
)
_QWEN_TOKENS_PER_SECOND = 144


@dataclass(frozen=True)
class ModelFacts:
    """What a model is, as far as anyone who serves it must know.

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

    @property
    def video_rate(self) -> int:
        """Video tokens a second."""
        return self.rows * self.columns


class OmniModel:
    """A loaded thinker, taken apart into what streaming needs.

    Attributes:
        facts, stack, vision, audio, prompt: see their classes.
        thinker: the transformers model.
    """

    def __init__(self, thinker: Any, facts: ModelFacts, prompt: Prompt, *, own: bool = True) -> None:
        self.thinker = thinker
        self.facts = facts
        self.prompt = prompt
        self.stack = text_stack(thinker, own=own)
        self.vision = VisionTower(part(thinker, "visual"), facts.rows, facts.columns)
        self.audio = AudioTower(part(thinker, "audio_tower"))

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        fusion_depth: int | None = None,
        frame_size: tuple[int, int] | None = None,
    ) -> OmniModel:
        """Reads a model directory in Hugging Face layout.

        Args:
            path: directory with `config.json`, `*.safetensors`, the tokenizer and, optionally, `omnidrop.json`.
            device, dtype: where and as what the weights are kept.
            fusion_depth: overrides the model's own.
            frame_size: height and width of the source's frames, where the model does not prescribe one.

        Raises:
            WeightsError: the directory or a part of it is missing or unreadable.
            UnsupportedModelError: another family.
        """
        from transformers import AutoTokenizer

        directory = Path(path)
        config = _read_json(directory / "config.json")
        if config.get("model_type") not in MODEL_TYPES:
            raise UnsupportedModelError(str(config.get("model_type")), MODEL_TYPES)
        if not any(directory.glob("*.safetensors")):
            raise WeightsError(directory, "holds no *.safetensors", "fetch the weights or name another directory")
        facts = read_facts(directory, fusion_depth=fusion_depth, frame_size=frame_size)
        try:
            tokenizer = AutoTokenizer.from_pretrained(str(directory))
            thinker = _load_thinker(directory, dtype)
        except (OSError, RuntimeError, ValueError, SafetensorError) as error:
            raise WeightsError(directory, f"cannot be loaded ({error})", "fetch the weights again") from error
        thinker = thinker.to(device).eval().requires_grad_(False)
        stop = getattr(thinker.generation_config, "eos_token_id", None)
        stops = stop if isinstance(stop, list) else [stop] if stop is not None else []
        return cls(thinker, facts, Prompt(tokenizer, str(directory), stops))


def _load_thinker(directory: Path, dtype: torch.dtype) -> Any:
    from transformers import Qwen2_5OmniThinkerForConditionalGeneration as Thinker

    thinker, found = Thinker.from_pretrained(str(directory), dtype=dtype, output_loading_info=True)
    lacking = sorted(found["missing_keys"])
    if lacking:
        # transformers would go on with random weights
        raise ValueError(f"{len(lacking)} tensors are missing, such as {lacking[0]}")
    return thinker


def part(thinker: Any, name: str) -> Any:
    """A tower of a thinker, wherever this version of transformers keeps it."""
    return getattr(thinker.model, name) if hasattr(thinker.model, name) else getattr(thinker, name)


def text_stack(thinker: Any, *, own: bool) -> TextStack:
    """The decoder of a thinker in either layout; `own` as in `TextStack`."""
    config = thinker.config.text_config
    if getattr(config, "use_sliding_window", False) or config.rope_parameters.get("rope_type", "default") != "default":
        raise UnsupportedModelError(f"{config.model_type} with sliding window or scaled rotary angles", MODEL_TYPES)
    return TextStack(getattr(thinker.model, "language_model", thinker.model), thinker.lm_head, config, own=own)


def read_facts(
    directory: Path, *, fusion_depth: int | None = None, frame_size: tuple[int, int] | None = None
) -> ModelFacts:
    """Facts of a model directory; see `OmniModel.load` for the arguments.

    Raises:
        WeightsError: a file is missing or lacks what it must say.
        InputError: a fusion depth outside 1…L-1.
    """
    config = _read_json(directory / "config.json")
    thinker = config.get("thinker_config", config)
    ours = _read_json(directory / FACTS_FILE) if (directory / FACTS_FILE).exists() else {}
    try:
        text, rate = thinker["text_config"], int(thinker.get("position_id_per_seconds", 25))
        layers, heads = int(text["num_hidden_layers"]), int(text["num_attention_heads"])
        hidden, kv_heads = int(text["hidden_size"]), int(text["num_key_value_heads"])
        limit = int(text.get("max_position_embeddings", 32_768))
    except KeyError as error:
        raise WeightsError(directory / "config.json", f"lacks {error}", "fetch the model again") from error
    window = int(ours.get("window_seconds", thinker.get("seconds_per_chunk", 2)))
    rows, columns = _grid(ours.get("frame_size"), frame_size)
    depth = fusion_depth or int(ours.get("fusion_depth", layers // 2))
    if not 0 < depth < layers:
        raise InputError("fusion_depth", f"{depth} is outside 1…{layers - 1}", "choose a layer inside the decoder")
    trained = ours.get("max_windows_trained")
    return ModelFacts(
        model_type=str(config["model_type"]),
        layers=layers,
        fusion_depth=depth,
        hidden_size=hidden,
        kv_heads=kv_heads,
        head_dim=int(text.get("head_dim") or hidden // heads),
        height=28 * rows,
        width=28 * columns,
        rows=rows,
        columns=columns,
        audio_rate=rate,
        window_seconds=window,
        segment_windows=int(ours.get("segment_windows", 8)),
        position_limit=min(limit, int(trained) * window * rate) if trained else limit,
        max_answer_tokens=int(ours.get("max_answer_tokens", 256)),
        fill_missing_tracks=bool(ours.get("fill_missing_tracks", False)),
        system=str(ours.get("system_prompt", _QWEN_SYSTEM)),
    )


def _grid(prescribed: int | None, source: tuple[int, int] | None) -> tuple[int, int]:
    if prescribed is not None:
        return prescribed // 28, prescribed // 28
    height, width = source or (336, 336)
    return grid_size(height, width, _QWEN_TOKENS_PER_SECOND)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise WeightsError(path, "is missing", "name a model directory in Hugging Face layout") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise WeightsError(path, f"cannot be read ({error})", "fetch the model again") from error
    if not isinstance(content, dict):
        raise WeightsError(path, "is not a JSON object", "fetch the model again")
    return content
