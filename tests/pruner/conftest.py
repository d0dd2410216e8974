"""A tiny random thinker in Hugging Face layout, small enough to be built and run in a moment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
)

from pruner import LiveModel, LiveOptions

from . import tiny3

SPECIAL = (
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
FACTS = {"system_prompt": "Watch.", "frame_size": 84, "segment_windows": 4, "max_answer_tokens": 12, "fusion_depth": 3}


def _tokenizer() -> PreTrainedTokenizerFast:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate((*SPECIAL, *letters))}
    tokens = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokens,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=["<|im_start|>", *SPECIAL[3:]],
    )


def _config() -> Qwen2_5OmniThinkerConfig:
    number = {token: index for index, token in enumerate(SPECIAL)}
    config = Qwen2_5OmniThinkerConfig(
        text_config={
            "vocab_size": len(SPECIAL) + 256,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "tie_word_embeddings": False,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]},
            "pad_token_id": 0,
            "eos_token_id": 2,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_heads": 2,
            "window_size": 56,
            "fullatt_block_indexes": [1],
            "out_hidden_size": 32,
        },
        audio_config={
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "d_model": 16,
            "output_dim": 32,
        },
        audio_token_index=number["<|AUDIO|>"],
        image_token_index=number["<|IMAGE|>"],
        video_token_index=number["<|VIDEO|>"],
        audio_start_token_id=number["<|audio_bos|>"],
        audio_end_token_id=number["<|audio_eos|>"],
        user_token_id=number["<|im_start|>"],
        tie_word_embeddings=False,
    )
    config.vision_start_token_id = number["<|vision_bos|>"]
    config.vision_end_token_id = number["<|vision_eos|>"]
    return config


@pytest.fixture(scope="session")
def tiny_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory: 6 layers, 4 heads on 2, frames of 84 x 84 (9 tokens a second), segments of 4 windows."""
    directory = tmp_path_factory.mktemp("tiny")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        thinker = Qwen2_5OmniThinkerForConditionalGeneration(_config())
        for name, weight in sorted(thinker.named_parameters()):
            # Wide enough that attention and answers depend on what was seen.
            weight.data.normal_(1.0 if "norm" in name else 0.0, 0.1 if "norm" in name else 0.3)
    thinker.generation_config.eos_token_id = 2
    thinker.save_pretrained(directory)
    _tokenizer().save_pretrained(directory)
    (directory / "omnidrop.json").write_text(json.dumps(FACTS), encoding="utf-8")
    return directory


@pytest.fixture(scope="session")
def tiny3_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen3-Omni; see `tests.pruner.tiny3`."""
    directory = tmp_path_factory.mktemp("tiny3")
    tiny3.write(directory)
    return directory


@pytest.fixture(scope="session")
def load_tiny(tiny_directory: Path) -> Callable[..., LiveModel]:
    """`load_tiny(dtype=torch.float32, **options of LiveOptions)`: a freshly loaded LiveModel."""

    def load(*, dtype: torch.dtype = torch.float32, **options: Any) -> LiveModel:
        return LiveModel.load(tiny_directory, dtype=dtype, options=LiveOptions(**options))

    return load


@pytest.fixture(scope="session")
def tiny_model(load_tiny: Callable[..., LiveModel]) -> LiveModel:
    """The tiny model in fp64, shared by all tests; LiveModel keeps no state of its own."""
    return load_tiny(dtype=torch.float64)
