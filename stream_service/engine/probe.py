"""Looks at the accelerator and the weights without loading them."""

from __future__ import annotations

from pathlib import Path

import torch

import nano_omni
from pruner import PrunerError
from pruner.families.checkpoint import Checkpoint
from pruner.families.facts import read_facts
from pruner.families.hub import on_hub
from pruner.families.omni import FAMILIES
from stream_service.engine.settings import EngineSettings
from stream_service.errors import StartupError


def accelerator(settings: EngineSettings) -> str:
    """What the model will run on; raises StartupError for a GPU that is not there."""
    if settings.device == "cpu":
        return f"the CPU, {settings.cpu_threads()} threads, {settings.dtype}"
    if not torch.cuda.is_available():
        raise StartupError(
            "No GPU is usable.",
            field="engine.device",
            remedy="Install NVIDIA's driver and a CUDA build of torch, or set engine.device to cpu.",
        )
    free, total = torch.cuda.mem_get_info(settings.device)
    return f"{torch.cuda.get_device_name(settings.device)}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"


def weights(settings: EngineSettings) -> str:
    """Which weights will be loaded; raises StartupError for a folder or a device that does not hold them."""
    if on_hub(settings.model):
        return f"{settings.model}, fetched from the hub at the first start unless it is in its cache"
    folder = _folder(settings)
    device, dtype = torch.device(settings.device), getattr(torch, settings.dtype)
    try:
        facts = read_facts(folder, FAMILIES)
        found = Checkpoint.read(folder)
        found.check_room(device, dtype)
    except PrunerError as error:
        raise StartupError(
            f"{folder} holds no usable weights: {error}.",
            field="engine.model",
            remedy="Name the folder of a complete Qwen Omni checkpoint in engine.model, or 'nano'.",
        ) from error
    return f"{folder}, {facts.model_type}, {found.nbytes(dtype) / 1e6:,.0f} MB as {settings.dtype}"


def spoken_questions(settings: EngineSettings) -> bool | None:
    """Whether the model takes a question from speech itself; None while its weights are not here to say."""
    if on_hub(settings.model):
        return None
    try:
        return read_facts(_folder(settings), FAMILIES).spoken_questions
    except PrunerError:  # `weights` says what is wrong with them
        return None


def _folder(settings: EngineSettings) -> Path:
    return nano_omni.weights_dir() if settings.model == "nano" else Path(settings.model).expanduser()
