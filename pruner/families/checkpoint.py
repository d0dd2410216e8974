"""A checkpoint on disk, looked at before anything of it is loaded.

Qwen publishes its Omni models as one sharded file set: the thinker, which reads and answers, the talker and the
vocoder that speak. Only the thinker's tensors are ever read, out of the shards that hold them. What they are called,
how large they are and in which file they lie is in the headers, a few kilobytes a file; from those it is known what
is missing, cut short or too large for the device before the first weight is touched.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from pruner.errors import DeviceMemoryError, WeightsError
from pruner.families.memory import available_bytes

__all__ = ["Checkpoint", "LazyTensor", "read_json", "thinker_config"]

INDEX = "model.safetensors.index.json"
_SPEAKING = re.compile(r"^(talker|token2wav|code2wav)\.")
_FLOATS = frozenset(("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"))
_LARGEST_HEADER = 100_000_000  # bytes; safetensors' own bound


@dataclass(frozen=True)
class _Entry:
    """A tensor as a file's header describes it."""

    file: Path
    shape: tuple[int, ...]
    floating: bool

    @property
    def numbers(self) -> int:
        """How many there are in it."""
        return prod(self.shape)


class LazyTensor:
    """A tensor that is read when it is indexed: what transformers' loader takes in place of one.

    It goes straight to its device and number format, so that a model never exists twice.
    """

    def __init__(self, part: Any, device: torch.device, dtype: torch.dtype) -> None:
        self._part, self._device, self._dtype = part, device, dtype

    def __getitem__(self, index: Any) -> Tensor:
        tensor: Tensor = self._part[index]
        return tensor.to(self._device, self._dtype if tensor.is_floating_point() else tensor.dtype)

    def get_shape(self) -> list[int]:
        """Shape, from the header."""
        shape: list[int] = self._part.get_shape()
        return shape

    def get_dtype(self) -> str:
        """safetensors' name of the number format in the file."""
        name: str = self._part.get_dtype()
        return name


class Checkpoint:
    """The thinker's part of a model directory.

    Attributes:
        directory: as given.
        config: `config.json`.
    """

    def __init__(self, directory: Path, config: dict[str, Any], entries: Mapping[str, _Entry]) -> None:
        self.directory, self.config = directory, config
        self._entries = entries

    @classmethod
    def read(cls, directory: Path) -> Checkpoint:
        """Reads headers only.

        Raises:
            WeightsError: a file is missing, cut short or no safetensors file; the weights are quantised.
        """
        config = read_json(directory / "config.json")
        refuse_quantised(directory, config)
        entries: dict[str, _Entry] = {}
        for file, wanted in _files(directory).items():
            found = {name: entry for name, entry in _header(file).items() if not _SPEAKING.match(name)}
            absent = sorted(wanted - found.keys())
            if absent:
                problem = f"lacks {len(absent)} of the tensors that {INDEX} places in it, such as {absent[0]}"
                raise WeightsError(file, problem, "fetch the weights again")
            entries |= found
        if not entries:
            raise WeightsError(directory, "holds no tensors of a thinker", "name the directory of an Omni model")
        return cls(directory, config, entries)

    @property
    def parameters(self) -> int:
        """Numbers in the thinker's tensors."""
        return sum(entry.numbers for entry in self._entries.values())

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the thinker's tensors by the names they have in the files."""
        return {name: entry.shape for name, entry in self._entries.items()}

    @property
    def has_experts(self) -> bool:
        """Whether it is a mixture of experts."""
        return any(".experts." in name for name in self._entries)

    def nbytes(self, dtype: torch.dtype) -> int:
        """Memory that the thinker takes with its floating-point numbers as `dtype`."""
        sizes = (entry.numbers * (dtype.itemsize if entry.floating else 8) for entry in self._entries.values())
        return sum(sizes)

    def check_room(self, device: torch.device, dtype: torch.dtype) -> None:
        """Refuses a model that the device cannot hold.

        Raises:
            DeviceMemoryError: says what is needed and what is free.
        """
        needed, free = self.nbytes(dtype), available_bytes(device)
        if needed > free:
            raise DeviceMemoryError(f"the weights of {self.directory.name}", str(device), needed=needed, available=free)

    def tensors(self, device: torch.device, dtype: torch.dtype) -> dict[str, LazyTensor]:
        """The thinker's tensors by the names they have in the files, none of them read yet."""
        files: dict[Path, Any] = {}
        for entry in self._entries.values():
            if entry.file not in files:
                files[entry.file] = safe_open(entry.file, framework="pt")
        return {
            name: LazyTensor(files[entry.file].get_slice(name), device, dtype) for name, entry in self._entries.items()
        }


def thinker_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The thinker's part of a `config.json`, of a whole Omni model or of a thinker alone."""
    part: dict[str, Any] = config.get("thinker_config", config)
    return part


def refuse_quantised(directory: Path, config: Mapping[str, Any]) -> None:
    """Raises WeightsError for weights in a quantised format, whichever part of `config` says so."""
    thinker = thinker_config(config)
    for part in (config, thinker, thinker.get("text_config", {})):
        quantisation = part.get("quantization_config")
        if quantisation:
            how = quantisation.get("quant_method", "an unknown method") if isinstance(quantisation, dict) else "some"
            remedy = "name the unquantised model; its layers are taken apart, which packed weights do not allow"
            raise WeightsError(directory, f"is quantised with {how}", remedy)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        WeightsError: it is missing or something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise WeightsError(path, "is missing", "name a model directory in Hugging Face layout") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise WeightsError(path, f"cannot be read ({error})", "fetch the model again") from error
    if not isinstance(content, dict):
        raise WeightsError(path, "is not a JSON object", "fetch the model again")
    return content


def indexed_files(index: Mapping[str, Any]) -> dict[str, set[str]]:
    """Names of the shards that hold a part of the thinker, and its tensors in each."""
    files: dict[str, set[str]] = {}
    for name, file in index.get("weight_map", {}).items():
        if not _SPEAKING.match(name):
            files.setdefault(str(file), set()).add(name)
    return files


def _files(directory: Path) -> dict[Path, set[str]]:
    """Weight files to read and, where an index says so, the tensors each must hold."""
    if (directory / INDEX).exists():
        named = {directory / name: held for name, held in indexed_files(read_json(directory / INDEX)).items()}
        absent = sorted(path.name for path in named if not path.exists())
        if absent:
            problem = f"lacks {len(absent)} of {len(named)} weight files: {', '.join(absent[:5])}"
            raise WeightsError(directory, problem, "fetch the rest of the model")
        return named
    files = sorted(directory.glob("*.safetensors"))
    if not files:
        remedy = "fetch the weights or name another directory"
        if any(directory.glob("*.bin")) or any(directory.glob("*.gguf")):
            remedy = "convert the weights to safetensors; other formats are not read"
        raise WeightsError(directory, "holds no *.safetensors", remedy)
    return {file: set() for file in files}


def _header(file: Path) -> dict[str, _Entry]:
    """Tensors of a safetensors file: 8 bytes of length, a JSON header, then the data."""
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > _LARGEST_HEADER:
                raise ValueError(f"a header of {length} bytes")
            if size < 8 + length:
                raise WeightsError(file, f"is cut short, to {size} bytes", "fetch the weights again")
            described: dict[str, Any] = json.loads(stream.read(length))
        described.pop("__metadata__", None)
        entries = {name: _entry(file, one) for name, one in described.items()}
        end = max((int(one["data_offsets"][1]) for one in described.values()), default=0)
    except WeightsError:
        raise
    except (OSError, struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(file, f"is no safetensors file ({error})", "fetch the weights again") from error
    if size < 8 + length + end:
        raise WeightsError(file, f"is cut short: {size} of {8 + length + end} bytes", "fetch the weights again")
    return entries


def _entry(file: Path, described: Mapping[str, Any]) -> _Entry:
    return _Entry(file, tuple(int(side) for side in described["shape"]), described["dtype"] in _FLOATS)
