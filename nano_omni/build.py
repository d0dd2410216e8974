"""Make a fresh nano-omni: tokenizer, configuration, initialised weights and facts, in one directory transformers can
load.

python -m nano_omni.build --out DIR --seed 0 [--tiny]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
)

from nano_omni import FACTS_FILE, NanoFacts, tokenizer
from nano_omni.world.draws import Draws
from nano_omni.world.questions import questions
from nano_omni.world.script import make_script

# The longest temporal period is 2π·θ^(15/32) position ids; at 25 ids a second, θ = 1e6 gives 163 s: 64 windows stay
# distinct, where 1e5 would fold at 28.
ROPE_THETA = 1e6
WINDOWS = 64
# 64 windows take 3,200 ids; the rest is for the text of turns. Well below the period of 4,087.
POSITIONS = 3_600
# Attention windows of 2 x 2 tokens, and one layer that sees the whole picture, as in Qwen2.5-Omni (windows of 4 x 4
# tokens, every eighth layer whole): with all layers whole, every token learns to tell of every object, and none is
# ever missed (docs/researchers.md).
VISION_WINDOW = 56
CORPUS_STREAMS = 400


def make_config(tokens: PreTrainedTokenizerFast, *, tiny: bool = False) -> Qwen2_5OmniThinkerConfig:
    """Configuration of nano-omni (15.1 M parameters), or of a `tiny` one (4 layers, 64 wide heads alike) for tests."""
    hidden, layers, heads, kv_heads, ffn = (128, 4, 2, 1, 256) if tiny else (256, 12, 4, 2, 768)
    width, tower_heads, vision_layers, audio_layers = (64, 2, 2, 2) if tiny else (192, 6, 5, 4)

    def token_id(token: str) -> int:
        found = tokens.convert_tokens_to_ids(token)
        assert isinstance(found, int)
        return found

    config = Qwen2_5OmniThinkerConfig(
        text_config={
            "vocab_size": len(tokens),
            "hidden_size": hidden,
            "intermediate_size": ffn,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "max_position_embeddings": 32_768,
            "tie_word_embeddings": False,
            "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_THETA, "mrope_section": [16, 8, 8]},
            "pad_token_id": token_id(tokenizer.PAD),
            "eos_token_id": token_id(tokenizer.IM_END),
        },
        vision_config={
            "depth": vision_layers,
            "hidden_size": width,
            "intermediate_size": 128 if tiny else 512,
            "num_heads": tower_heads,
            "patch_size": 14,
            "window_size": VISION_WINDOW,
            "fullatt_block_indexes": [vision_layers // 2],
            "out_hidden_size": hidden,
        },
        audio_config={
            "encoder_layers": audio_layers,
            "encoder_attention_heads": tower_heads,
            "encoder_ffn_dim": 4 * width,
            "d_model": width,
            "n_window": 100,
            "output_dim": hidden,
        },
        audio_token_index=token_id(tokenizer.AUDIO),
        image_token_index=token_id(tokenizer.IMAGE),
        video_token_index=token_id(tokenizer.VIDEO),
        audio_start_token_id=token_id(tokenizer.AUDIO_BOS),
        audio_end_token_id=token_id(tokenizer.AUDIO_EOS),
        user_token_id=token_id(tokenizer.IM_START),
        position_id_per_seconds=25,
        seconds_per_chunk=2,
        tie_word_embeddings=False,
    )
    # Read by get_rope_index, yet no declared field of the configuration class.
    config.vision_start_token_id = token_id(tokenizer.VISION_BOS)
    config.vision_end_token_id = token_id(tokenizer.VISION_EOS)
    return config


def initialise(model: Qwen2_5OmniThinkerForConditionalGeneration, seed: int) -> None:
    """Draw every weight from `seed`: embeddings 0.5, head 0.005, residual outputs 0, other matrices 1/√fan-in, biases
    0."""
    generator = torch.Generator().manual_seed(seed)
    residual_outputs = ("o_proj", "down_proj", "attn.proj", "out_proj", "fc2")
    with torch.no_grad():
        for name, module in sorted(model.named_modules(), key=lambda item: _layer_path(item[0])):
            if isinstance(module, nn.Embedding):
                module.weight.normal_(0.0, 0.5, generator=generator)
            elif isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv3d)):
                fan_in = module.weight[0].numel()
                std = 0.005 if name.endswith("lm_head") else 0.0 if name.endswith(residual_outputs) else fan_in**-0.5
                module.weight.normal_(0.0, 1.0, generator=generator).mul_(std)
                if module.bias is not None:
                    module.bias.zero_()


def _layer_path(name: str) -> str:
    """Module path without the parts in which transformers versions differ, so that every version draws the same
    weights."""
    return name.replace("language_model.", "").removeprefix("model.")


def corpus(streams: int = CORPUS_STREAMS) -> Iterator[str]:
    """Text the tokenizer learns from: questions and answers of the first `streams` training streams, and the chat's
    own words."""
    for seed in range(streams):
        yield f"system\n{NanoFacts().system_prompt}\nuser\nassistant\n"
        script = make_script(seed, 8, ("dense", "needle", "dense", "long")[seed % 4])
        for qa in questions(script, 16, Draws(seed), 24):
            yield qa.text
            yield qa.answer


def build(out: Path, *, seed: int = 0, tiny: bool = False, facts: NanoFacts | None = None) -> None:
    """Write a fresh model to `out`: bf16 safetensors, configuration, tokenizer and facts."""
    tokens = tokenizer.train_tokenizer(corpus())
    config = make_config(tokens, tiny=tiny)
    model = Qwen2_5OmniThinkerForConditionalGeneration(config)
    initialise(model, seed)
    depth = config.text_config.num_hidden_layers // 2
    default = NanoFacts(fusion_depth=depth, max_windows_trained=WINDOWS, position_limit=POSITIONS)
    save(model, tokens, out, facts or default)


def save(
    model: Qwen2_5OmniThinkerForConditionalGeneration, tokens: PreTrainedTokenizerFast, out: Path, facts: NanoFacts
) -> None:
    """Save `model` (cast to bf16; the module itself is cast and returned to its type), tokenizer and facts to `out`."""
    out.mkdir(parents=True, exist_ok=True)
    kept = next(model.parameters()).dtype
    model.generation_config.update(
        eos_token_id=tokens.eos_token_id, pad_token_id=tokens.pad_token_id, max_new_tokens=facts.max_answer_tokens
    )
    model.to(torch.bfloat16).save_pretrained(out)
    model.to(kept)
    tokens.save_pretrained(out)
    (out / FACTS_FILE).write_text(json.dumps(asdict(facts), indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tiny", action="store_true", help="4 decoder layers, for tests")
    arguments = parser.parse_args()
    build(arguments.out, seed=arguments.seed, tiny=arguments.tiny)


if __name__ == "__main__":
    main()
