"""Loading a thinker of any known family, with everything that can be wrong said before a weight is read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from pruner.errors import InputError, WeightsError
from pruner.families.checkpoint import Checkpoint
from pruner.families.described import check_weights
from pruner.families.facts import ModelFacts, family_of, read_facts
from pruner.families.family import Family
from pruner.families.hub import locate
from pruner.families.memory import usable_device
from pruner.families.prompt import Prompt
from pruner.families.qwen2_5_omni import QWEN2_5_OMNI, check_attention
from pruner.families.qwen3_omni import QWEN3_OMNI

__all__ = ["FAMILIES", "MODEL_TYPES", "OmniModel"]

FAMILIES = (QWEN2_5_OMNI, QWEN3_OMNI)
MODEL_TYPES = tuple(name for family in FAMILIES for name in family.model_types)
_DTYPES = (torch.bfloat16, torch.float16, torch.float32, torch.float64)


class OmniModel:
    """A loaded thinker, taken apart into what streaming needs.

    Attributes:
        facts, stack, vision, audio, prompt: see their classes.
        thinker: the transformers model.
    """

    def __init__(self, thinker: Any, facts: ModelFacts, prompt: Prompt, *, own: bool = True) -> None:
        family = family_of(facts.model_type, FAMILIES)
        self.thinker = thinker
        self.facts = facts
        self.prompt = prompt
        self.stack = family.stack(thinker, own)
        self.vision = family.vision(thinker, facts.rows, facts.columns)
        self.audio = family.audio(thinker)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        revision: str | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        fusion_depth: int | None = None,
        frame_size: tuple[int, int] | None = None,
        frame_tokens: int | None = None,
    ) -> OmniModel:
        """Reads a model in Hugging Face layout: a thinker, or the thinker out of a whole Omni model.

        Args:
            path: directory with `config.json`, `*.safetensors`, the tokenizer and, optionally, `omnidrop.json`; or a
                name on the Hugging Face hub.
            revision: branch, tag or commit of a hub model.
            device, dtype: where and as what the weights are kept.
            fusion_depth, frame_size, frame_tokens: see `read_facts`.

        Raises:
            WeightsError: the directory or a part of it is missing, unreadable, quantised, or not what its
                configuration describes.
            UnsupportedModelError: another family.
            DeviceMemoryError: the weights do not fit; nothing was loaded.
            InputError: a device that is not there, a number format that weights cannot have, or see `read_facts`.
        """
        place = usable_device(device)
        if dtype not in _DTYPES:
            names = ", ".join(str(one) for one in _DTYPES)
            raise InputError("dtype", f"is {dtype!r}, in which no weights can be kept", f"give one of {names}")
        directory = locate(path, MODEL_TYPES, revision=revision)
        facts = read_facts(
            directory, FAMILIES, fusion_depth=fusion_depth, frame_size=frame_size, frame_tokens=frame_tokens
        )
        checkpoint = Checkpoint.read(directory)
        checkpoint.check_room(place, dtype)
        family = family_of(facts.model_type, FAMILIES)
        kind, config = _described(checkpoint, family)
        prompt = _read_prompt(directory, family)
        thinker = _load_thinker(checkpoint, kind, config, place, dtype)
        return cls(thinker, facts, prompt)


def _read_prompt(directory: Path, family: Family) -> Prompt:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(directory))
    except (OSError, RuntimeError, ValueError) as error:
        raise WeightsError(directory, f"holds no tokenizer that can be read ({error})", "fetch it again") from error
    described = _read_generation(directory)
    stop = described.eos_token_id if described is not None else None
    stops = stop if isinstance(stop, list) else [] if stop is None else [stop]
    return Prompt(tokenizer, str(directory), family.brackets, stops)


def _described(checkpoint: Checkpoint, family: Family) -> tuple[Any, Any]:
    """transformers' class of the thinker and its configuration, which the weights are seen to fit."""
    import transformers

    kind = getattr(transformers, family.thinker, None)
    if kind is None:
        remedy = f"install a version that has {family.thinker}"
        raise WeightsError(checkpoint.directory, "needs a newer transformers", remedy)
    try:
        config = kind.config_class.from_pretrained(str(checkpoint.directory))
    except (OSError, TypeError, ValueError, StrictDataclassError) as error:
        problem = f"has a config.json that transformers refuses ({error})"
        raise WeightsError(checkpoint.directory, problem, "fetch the model again") from error
    check_attention(config.text_config)
    check_weights(checkpoint, kind, config)
    return kind, config


def _load_thinker(checkpoint: Checkpoint, kind: Any, config: Any, device: torch.device, dtype: torch.dtype) -> Any:
    try:
        tensors = checkpoint.tensors(device, dtype)
        with _read_in_turn() if checkpoint.has_experts else nullcontext():
            thinker, found = kind.from_pretrained(
                None, config=config, state_dict=tensors, dtype=dtype, output_loading_info=True
            )
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        problem = f"cannot be loaded ({error})"
        raise WeightsError(checkpoint.directory, problem, "fetch the weights again") from error
    for what in ("missing", "mismatched"):
        names = sorted(str(name) for name in found[f"{what}_keys"])
        if names:
            # transformers would go on with random weights
            problem = f"cannot be loaded: {len(names)} tensors are {what}, such as {names[0]}"
            raise WeightsError(checkpoint.directory, problem, "fetch the weights again")
    thinker.generation_config = _read_generation(checkpoint.directory) or thinker.generation_config
    return thinker.to(device).eval().requires_grad_(False)


@contextmanager
def _read_in_turn() -> Iterator[None]:
    """Has transformers read a tensor when it is wanted. Its threads read ahead of the experts being put together, and
    hold nearly the whole model a second time."""
    name = "HF_DEACTIVATE_ASYNC_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _read_generation(directory: Path) -> Any:
    """Generation settings beside the weights, which transformers reads only with the weights; None where none are."""
    from transformers import GenerationConfig

    if not (directory / "generation_config.json").exists():
        return None
    try:
        return GenerationConfig.from_pretrained(str(directory))
    except (OSError, ValueError) as error:
        path = directory / "generation_config.json"
        raise WeightsError(path, f"cannot be read ({error})", "fetch it again") from error
