"""How benchmarks say what they found: where they ran, a table for people, one line of JSON for programs."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from nano_omni import weights_dir
from pruner import LiveModel
from pruner.compress import AUDIO_KEEP, VIDEO_KEEP

_PACKAGES = ("torch", "transformers", "numpy", "aiortc", "av")


def model_path(name: str) -> Path:
    """The directory that `--model` names: "nano" is the built-in model."""
    return weights_dir() if name == "nano" else Path(name)


def environment(device: str) -> dict[str, Any]:
    """When and where: date, hardware, versions."""
    hardware = f"{_processor()}, {len(os.sched_getaffinity(0))} cores"
    if device.startswith("cuda"):
        hardware = f"{torch.cuda.get_device_name(torch.device(device))}; {hardware}"
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware,
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version()} | _versions(),
    }


def gpu_id(index: int) -> str:
    """What nvidia-smi calls the GPU that CUDA numbers `index`: `CUDA_VISIBLE_DEVICES` numbers anew."""
    visible = [one.strip() for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return visible[index] if index < len(visible) and visible[index] else str(index)


def decoding(model: LiveModel) -> dict[str, Any]:
    """How answers are drawn from a model, and what every method compresses before its decoder."""
    facts = model.facts
    return {
        "method": "greedy",
        "max_tokens": facts.max_answer_tokens,
        "dtype": str(model.model.stack.dtype).removeprefix("torch."),
        "layers": facts.layers,
        "fusion_depth": facts.fusion_depth,
        "audio_keep": AUDIO_KEEP,
        "video_keep": VIDEO_KEEP,
        "system": facts.system,
    }


def fingerprint(directory: Path) -> str:
    """First 16 digits of a SHA-256 over a model's weights, so that a result says what it was measured on."""
    digest = hashlib.sha256()
    for path in sorted(directory.glob("*.safetensors")):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]


def weights_of(model: str) -> str | None:
    """The fingerprint of what `--model` names; None for a name on the hub, whose files lie in a cache."""
    path = model_path(model)
    return fingerprint(path) if path.is_dir() else None


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: Collection[int] = (0,)) -> str:
    """Columns as wide as their longest entry; those numbered in `left` to the left, the others to the right."""
    widths = [max(len(row[at]) for row in (heads, *rows)) for at in range(len(heads))]

    def line(row: Sequence[str]) -> str:
        cells = [cell.ljust(widths[at]) if at in left else cell.rjust(widths[at]) for at, cell in enumerate(row)]
        return "  ".join(cells).rstrip()

    return "\n".join([line(heads), "-" * (sum(widths) + 2 * len(widths) - 2), *map(line, rows)])


def print_json(result: Mapping[str, Any]) -> None:
    """The last line of a benchmark's output."""
    print(json.dumps(result, ensure_ascii=False, allow_nan=False), flush=True)


def progress(line: str) -> None:
    """What happens meanwhile, on the error stream: the output stays clean."""
    print(line, file=sys.stderr, flush=True)


def _versions() -> dict[str, str]:
    """Of the packages that matter; a machine that only measures speed has none for media."""
    found = {}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
