"""The models that exactness is proven on, each loaded twice: by `pruner`, and by transformers for the reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from transformers import (
    AutoTokenizer,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen3OmniMoeThinkerForConditionalGeneration,
)

from pruner import LiveModel, LiveOptions
from pruner.families.omni import OmniModel

from .pair import Pair
from .reference import Weights
from .script import QWEN2_5, QWEN3, Grammar

MakePair = Callable[..., Pair]
Graphs = Literal["on", "off"]


def pairs(directory: Path, grammar: Grammar) -> MakePair:
    """Makes pairs of conversations of one model, in fp64."""
    third = grammar is QWEN3
    kind: Any = Qwen3OmniMoeThinkerForConditionalGeneration if third else Qwen2_5OmniThinkerForConditionalGeneration
    thinker = kind.from_pretrained(directory, dtype=torch.float32)
    thinker.requires_grad_(False)
    inner = thinker.model
    text = inner if hasattr(inner, "layers") else inner.language_model
    weights = Weights(text, thinker.lm_head, thinker.config.get_text_config(), third=third)
    tokenizer = AutoTokenizer.from_pretrained(directory)

    def make(
        *, budget: int, limit: int | None = None, graphs: Graphs = "off", device: str = "cpu", **arguments: Any
    ) -> Pair:
        family = OmniModel.load(directory, device=device, dtype=torch.float64)
        if limit is not None:
            family.facts = replace(family.facts, position_limit=limit)
        model = LiveModel(family, LiveOptions(graphs=graphs))
        return Pair(model, weights, tokenizer, budget=budget, grammar=grammar, **arguments)

    return make


@pytest.fixture(scope="session")
def tiny_pair(tiny_directory: Path) -> MakePair:
    return pairs(tiny_directory, QWEN2_5)


@pytest.fixture(scope="session")
def tiny3_pair(tiny3_directory: Path) -> MakePair:
    return pairs(tiny3_directory, QWEN3)
