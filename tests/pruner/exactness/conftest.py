"""The models that exactness is proven on, each loaded twice: by `pruner`, and by transformers for the reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, Qwen2_5OmniThinkerForConditionalGeneration

from pruner import LiveModel
from pruner.families.omni import OmniModel

from .pair import Pair
from .reference import Weights

MakePair = Callable[..., Pair]


def pairs(directory: Path) -> MakePair:
    """Makes pairs of conversations of one model, in fp64."""
    thinker: Any = Qwen2_5OmniThinkerForConditionalGeneration.from_pretrained(directory, dtype=torch.float32)
    thinker.requires_grad_(False)
    inner = thinker.model
    text = inner if hasattr(inner, "layers") else inner.language_model
    weights = Weights(text, thinker.lm_head, thinker.config.get_text_config())
    tokenizer = AutoTokenizer.from_pretrained(directory)

    def make(*, budget: int, limit: int | None = None, **arguments: Any) -> Pair:
        family = OmniModel.load(directory, dtype=torch.float64)
        if limit is not None:
            family.facts = replace(family.facts, position_limit=limit)
        return Pair(LiveModel(family), weights, tokenizer, budget=budget, **arguments)

    return make


@pytest.fixture(scope="session")
def tiny_pair(tiny_directory: Path) -> MakePair:
    return pairs(tiny_directory)
