"""Qwen3-Omni-MoE thinkers (30B-A3B).

What differs from Qwen2.5-Omni:

* The decoder norms queries and keys, gives its rotary pairs to the three axes in turns, and has experts.
* Video and audio take turns every second, 13 audio tokens and position ids a second; the two tokens that open or close
  a segment have ids of their own.
* Features of the vision encoder's middle layers ("deepstack") are added to the video tokens after the first decoder
  layers. A fusion depth is never among those, so they are in the store's hidden states and keys like all else.
"""

from __future__ import annotations

from pruner.families.audio3 import AudioTower3
from pruner.families.family import Family
from pruner.families.frames import MERGE
from pruner.families.prompt import Brackets
from pruner.families.qwen2_5_omni import part, text_stack
from pruner.families.vision3 import PATCH, VisionTower3

__all__ = ["QWEN3_OMNI"]

QWEN3_OMNI = Family(
    model_types=("qwen3_omni_moe", "qwen3_omni_moe_thinker"),
    thinker="Qwen3OmniMoeThinkerForConditionalGeneration",
    token_pixels=PATCH * MERGE,
    interleave_seconds=1,
    shared_wrappers=False,
    brackets=Brackets(video=("<|vision_start|>", "<|vision_end|>"), audio=("<|audio_start|>", "<|audio_end|>")),
    system="You are a helpful assistant.",
    end=151_645,
    deepstack=lambda vision: len(vision["deepstack_visual_indexes"]),
    stack=lambda thinker, own: text_stack(thinker, own=own, interleaved=True),
    vision=lambda thinker, rows, columns: VisionTower3(part(thinker, "visual"), rows, columns),
    audio=lambda thinker: AudioTower3(part(thinker, "audio_tower")),
)
