"""Qwen2.5-Omni thinkers: nano-omni, 3B and 7B, in the module layouts of transformers 5.17 and 5.23.

5.17   thinker.model.layers                  thinker.audio_tower         thinker.visual
5.23   thinker.model.language_model.layers   thinker.model.audio_tower   thinker.model.visual
"""

from __future__ import annotations

from typing import Any

from pruner.errors import UnsupportedModelError
from pruner.families.audio import AudioTower
from pruner.families.family import Family
from pruner.families.frames import MERGE, PATCH
from pruner.families.prompt import Brackets
from pruner.families.stack import TextStack
from pruner.families.vision import VisionTower

__all__ = ["QWEN2_5_OMNI", "check_attention", "part", "text_stack"]

_SYSTEM = (
    "You are Qwen, a virtual human developed by the Qwen Team, Alibaba Group, capable of perceiving auditory and "
    "visual inputs, as well as generating text and speech."
)


def part(thinker: Any, name: str) -> Any:
    """A tower of a thinker, wherever this version of transformers keeps it."""
    return getattr(thinker.model, name) if hasattr(thinker.model, name) else getattr(thinker, name)


def check_attention(config: Any) -> None:
    """Refuses a decoder, by its `text_config`, whose attention `TextStack` would compute wrongly.

    Raises:
        UnsupportedModelError: it has a sliding window, or rotary angles that are scaled.
    """
    if getattr(config, "use_sliding_window", False) or config.rope_parameters.get("rope_type", "default") != "default":
        known = ("full attention with plain rotary angles",)
        raise UnsupportedModelError(f"{config.model_type} with sliding window or scaled rotary angles", known)


def text_stack(thinker: Any, *, own: bool, interleaved: bool = False) -> TextStack:
    """The decoder of a thinker in either layout; `own` and `interleaved` as in `TextStack`."""
    config = thinker.config.text_config
    check_attention(config)
    text = getattr(thinker.model, "language_model", thinker.model)
    return TextStack(text, thinker.lm_head, config, own=own, interleaved=interleaved)


QWEN2_5_OMNI = Family(
    model_types=("qwen2_5_omni", "qwen2_5_omni_thinker"),
    thinker="Qwen2_5OmniThinkerForConditionalGeneration",
    token_pixels=PATCH * MERGE,
    interleave_seconds=None,
    shared_wrappers=True,
    brackets=Brackets(video=("<|vision_bos|>", "<|vision_eos|>"), audio=("<|audio_bos|>", "<|audio_eos|>")),
    system=_SYSTEM,
    end=151_645,
    deepstack=lambda vision: 0,
    stack=lambda thinker, own: text_stack(thinker, own=own),
    vision=lambda thinker, rows, columns: VisionTower(part(thinker, "visual"), rows, columns),
    audio=lambda thinker: AudioTower(part(thinker, "audio_tower")),
)
