"""Looks at the accelerator and the weights without loading them."""

from __future__ import annotations

import json
from pathlib import Path

import torch

import nano_omni
from pruner.families.omni import MODEL_TYPES
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
    """Which weights will be loaded; raises StartupError for a folder that does not hold them."""
    if settings.model != "nano" and not Path(settings.model).exists() and settings.model.count("/") == 1:
        return f"{settings.model}, fetched from the hub at the first start unless it is in its cache"
    folder = nano_omni.weights_dir() if settings.model == "nano" else Path(settings.model).expanduser()
    wrong = None
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
        if kind not in MODEL_TYPES:
            wrong = f"its model type is {kind}, not one of {', '.join(MODEL_TYPES)}"
        index = folder / "model.safetensors.index.json"
        files = (
            set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            if index.exists()
            else {"model.safetensors"}
        )
        size = sum((folder / name).stat().st_size for name in files)
    except (OSError, KeyError, ValueError) as error:
        wrong = f"{getattr(error, 'filename', None) or 'its index'} is missing or not readable"
    if wrong is not None:
        raise StartupError(
            f"{folder} holds no usable weights: {wrong}.",
            field="engine.model",
            remedy="Name the folder of a complete Qwen2.5-Omni checkpoint in engine.model, or 'nano'.",
        )
    return f"{folder}, {kind}, {size / 1e6:,.0f} MB"
