"""A tiny random Qwen3-Omni thinker in Hugging Face layout."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3OmniMoeThinkerConfig, Qwen3OmniMoeThinkerForConditionalGeneration

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|audio_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|audio_start|>",
    "<|audio_end|>",
)
FACTS = {"system_prompt": "Watch.", "frame_size": 96, "segment_windows": 4, "max_answer_tokens": 12, "fusion_depth": 3}


def tokenizer() -> PreTrainedTokenizerFast:
    """Bytes and special tokens."""
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


def config() -> Qwen3OmniMoeThinkerConfig:
    """6 layers, one of them dense; heads wider than hidden / heads; 2 deepstack levels; 13 ids a second."""
    number = {token: index for index, token in enumerate(SPECIAL)}
    made = Qwen3OmniMoeThinkerConfig(
        text_config={
            "vocab_size": len(SPECIAL) + 256,
            "hidden_size": 32,
            "intermediate_size": 48,
            "moe_intermediate_size": 24,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "mlp_only_layers": [1],
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "mrope_section": [3, 3, 2],
                "mrope_interleaved": True,
            },
            "pad_token_id": 0,
            "eos_token_id": 2,
        },
        vision_config={
            "depth": 3,
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_heads": 2,
            "out_hidden_size": 32,
            "num_position_embeddings": 25,
            "deepstack_visual_indexes": [0, 1],
        },
        audio_config={
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "d_model": 16,
            "output_dim": 32,
            "downsample_hidden_size": 8,
            "num_mel_bins": 128,
        },
        position_id_per_seconds=13,
        audio_token_id=number["<|audio_pad|>"],
        image_token_id=number["<|image_pad|>"],
        video_token_id=number["<|video_pad|>"],
        audio_start_token_id=number["<|audio_start|>"],
        user_token_id=number["<|im_start|>"],
    )
    made.audio_end_token_id = number["<|audio_end|>"]
    made.vision_start_token_id = number["<|vision_start|>"]
    made.vision_end_token_id = number["<|vision_end|>"]
    made.seconds_per_chunk = 2
    return made


def write(directory: Path) -> None:
    """A model directory: frames of 96 x 96 (9 tokens a second), segments of 4 windows."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        thinker = Qwen3OmniMoeThinkerForConditionalGeneration(config())
        for name, weight in sorted(thinker.named_parameters()):
            norm = "norm" in name or "ln_q" in name
            # wide enough that attention, routing and answers depend on what was seen
            weight.data.normal_(1.0 if norm else 0.0, 0.1 if norm else 0.3)
    thinker.generation_config.eos_token_id = 2
    thinker.save_pretrained(directory)
    tokenizer().save_pretrained(directory)
    (directory / "omnidrop.json").write_text(json.dumps(FACTS), encoding="utf-8")
