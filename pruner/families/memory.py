"""Devices: which can be used, and the memory that they still have."""

from __future__ import annotations

from pathlib import Path

import torch

from pruner.errors import InputError

__all__ = ["available_bytes", "usable_device"]

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
_UNKNOWN = 1 << 62  # where nothing says, nothing is refused


def usable_device(device: str | torch.device) -> torch.device:
    """The device of that name.

    Raises:
        InputError: torch knows none, or it is a GPU that this process cannot use.
    """
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise InputError("device", f"is {device!r}, which torch does not know", "name cpu, cuda or cuda:N") from error
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found.type == "cuda" and (found.index or 0) >= there:
        remedy = "name another, or see that driver and torch fit together"
        raise InputError("device", f"is {found}, but {there} GPUs can be used", remedy)
    return found


def available_bytes(device: torch.device, *, meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> int:
    """Bytes that this process may still take on `device`.

    Of a CPU: the least of what the machine has available and what is left of a container's limit (cgroup v2).
    """
    if device.type == "cpu":
        return min(_machine(meminfo), _container(cgroup))
    if device.type == "cuda" and torch.cuda.is_available():
        free: int = torch.cuda.mem_get_info(device)[0]
        return free
    return _UNKNOWN


def _machine(meminfo: Path) -> int:
    try:
        fields = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines())
        return 1024 * int(fields["MemAvailable"].split()[0])
    except (OSError, KeyError):
        return _UNKNOWN


def _container(cgroup: Path) -> int:
    try:
        limit = (cgroup / "memory.max").read_text(encoding="ascii").strip()
        used = int((cgroup / "memory.current").read_text(encoding="ascii"))
        # pages of files that the kernel gives up at once
        statistics = dict(line.split() for line in (cgroup / "memory.stat").read_text(encoding="ascii").splitlines())
        return _UNKNOWN if limit == "max" else int(limit) - used + int(statistics.get("inactive_file", 0))
    except OSError:
        return _UNKNOWN
