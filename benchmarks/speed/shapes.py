"""Thinkers of the published sizes with random weights, made where they run.

What a pass costs does not depend on the weights' values, so no checkpoint is needed to measure it. Sizes are those of
the models' published configurations; the tokenizer is the built-in model's, whose ids are valid in every vocabulary.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nano_omni import weights_dir
from pruner.families.facts import ModelFacts, read_facts
from pruner.families.omni import FAMILIES, OmniModel
from pruner.families.prompt import Prompt
from pruner.families.qwen2_5_omni import QWEN2_5_OMNI

__all__ = ["SHAPES", "Shape", "build", "reduced", "write"]

_SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|AUDIO|>",
    "<|IMAGE|>",
    "<|VIDEO|>",
    "<|vision_bos|>",
    "<|vision_eos|>",
    "<|audio_bos|>",
    "<|audio_eos|>",
)
"""In the order of their ids in the built-in tokenizer."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a Qwen2.5-Omni thinker.

    Attributes:
        text, vision, audio: what its configuration says of decoder and towers.
        facts: what `omnidrop.json` says beside it; nothing for Qwen's own.
    """

    text: dict[str, Any]
    vision: dict[str, Any]
    audio: dict[str, Any]
    facts: dict[str, Any]


def _shape(
    hidden: int, inner: int, layers: int, heads: tuple[int, int], vocabulary: int, *, sections: tuple[int, int, int]
) -> Shape:
    """One of Qwen's own sizes: the towers are the same but for the width of what they give."""
    rotary = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": list(sections)}
    text = {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads[0],
        "num_key_value_heads": heads[1],
        "max_position_embeddings": 32_768,
        "rope_parameters": rotary,
        "tie_word_embeddings": False,
    }
    vision = {
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
        "out_hidden_size": hidden,
    }
    audio = {
        "d_model": 1280,
        "encoder_layers": 32,
        "encoder_attention_heads": 20,
        "encoder_ffn_dim": 5120,
        "output_dim": hidden,
    }
    return Shape(text, vision, audio, {})


def _tiny() -> Shape:
    """Everything there is, as small as it goes: to try the benchmark itself."""
    whole = _shape(32, 48, 6, (4, 2), 768, sections=(2, 1, 1))
    vision = {"depth": 2, "hidden_size": 16, "intermediate_size": 24, "num_heads": 2, "window_size": 56}
    audio = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}
    facts = {"frame_size": 84, "fusion_depth": 3}
    return Shape(whole.text, whole.vision | vision | {"fullatt_block_indexes": [1]}, whole.audio | audio, facts)


SHAPES = {
    "7b": _shape(3584, 18_944, 28, (28, 4), 152_064, sections=(16, 24, 24)),
    "3b": _shape(2048, 11_008, 36, (16, 2), 151_936, sections=(16, 24, 24)),
    "tiny": _tiny(),
}
"""By the names that `--model` takes."""


def reduced(shape: Shape, *, layers: int = 4, vocabulary: int = 4096) -> Shape:
    """The same widths with few layers, half of them run ahead: what a reference in fp64 has room and time for."""
    text = {"num_hidden_layers": layers, "vocab_size": min(vocabulary, shape.text["vocab_size"])}
    return replace(
        shape,
        text=shape.text | text,
        vision=shape.vision | {"depth": 2, "fullatt_block_indexes": [1]},
        audio=shape.audio | {"encoder_layers": 2},
        facts=shape.facts | {"fusion_depth": layers // 2},
    )


def build(shape: Shape, *, device: str | torch.device, dtype: torch.dtype, seed: int = 0) -> OmniModel:
    """A thinker with normally distributed weights, whose answers never end by chance."""
    with tempfile.TemporaryDirectory() as name:
        facts = _describe(shape, Path(name))
    prompt = _prompt()
    prompt.stop = frozenset()
    return OmniModel(_thinker(shape, torch.device(device), dtype, seed), facts, prompt)


def write(shape: Shape, directory: Path, *, device: str | torch.device, dtype: torch.dtype, seed: int = 0) -> None:
    """The same as a checkpoint in the official layout, for a service to load.

    Its answers are made of what the tokenizer can read: otherwise they would have no first text.
    """
    from transformers import AutoTokenizer

    thinker = _thinker(shape, torch.device(device), dtype, seed)
    tokenizer = AutoTokenizer.from_pretrained(str(weights_dir()))
    thinker.generation_config.eos_token_id = _prompt().end[0]
    thinker.lm_head.weight[len(tokenizer) :] = 0
    thinker.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    if shape.facts:
        (directory / "omnidrop.json").write_text(json.dumps(shape.facts), encoding="utf-8")


def _prompt() -> Prompt:
    from transformers import AutoTokenizer

    return Prompt(AutoTokenizer.from_pretrained(str(weights_dir())), str(weights_dir()), QWEN2_5_OMNI.brackets)


def _configuration(shape: Shape) -> Any:
    from transformers import Qwen2_5OmniThinkerConfig

    ids = {name: number for number, name in enumerate(_SPECIAL)}
    config = Qwen2_5OmniThinkerConfig(
        text_config=dict(shape.text),
        vision_config=dict(shape.vision),
        audio_config=dict(shape.audio),
        audio_token_index=ids["<|AUDIO|>"],
        image_token_index=ids["<|IMAGE|>"],
        video_token_index=ids["<|VIDEO|>"],
        audio_start_token_id=ids["<|audio_bos|>"],
        audio_end_token_id=ids["<|audio_eos|>"],
        user_token_id=ids["<|im_start|>"],
        tie_word_embeddings=False,
    )
    # read by `generate`, but no argument of the configuration
    config.vision_start_token_id = ids["<|vision_bos|>"]
    config.vision_end_token_id = ids["<|vision_eos|>"]
    return config


def _describe(shape: Shape, directory: Path) -> ModelFacts:
    _configuration(shape).save_pretrained(directory)
    (directory / "omnidrop.json").write_text(json.dumps(shape.facts), encoding="utf-8")
    return read_facts(directory, FAMILIES)


def _thinker(shape: Shape, device: torch.device, dtype: torch.dtype, seed: int) -> Any:
    """Made on the device in its number format: a model of 9 billion weights is there in seconds."""
    from transformers import Qwen2_5OmniThinkerForConditionalGeneration

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), device, _default(dtype):
        torch.manual_seed(seed)
        thinker: Any = Qwen2_5OmniThinkerForConditionalGeneration(_configuration(shape))
    thinker.generation_config.eos_token_id = None
    return thinker.eval().requires_grad_(False)


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
