"""Between host and device, without one waiting for the other.

A plain `.to("cuda")` or `.cpu()` waits until the device has done everything it was given so far. On the CPU all this is
a copy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["Fetched", "put", "upload"]

Numbers = npt.NDArray[Any]


def upload(array: Numbers, device: torch.device) -> Tensor:
    """The same numbers on the device; on the CPU they may share the array's memory."""
    host = torch.from_numpy(np.ascontiguousarray(array))
    if device.type != "cuda":
        return host.to(device)
    # from ordinary memory even a copy that is asked not to wait may wait
    return host.pin_memory().to(device, non_blocking=True)


def put(target: Tensor, array: Numbers) -> None:
    """Overwrites a contiguous tensor with as many numbers of the same type."""
    host = torch.from_numpy(np.ascontiguousarray(array)).view(target.shape)
    target.copy_(host.pin_memory() if target.is_cuda else host, non_blocking=True)


class Fetched:
    """Numbers on their way to the host; made when the device has been told to compute them.

    Args:
        tensor: what is fetched; may be overwritten afterwards.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)
        self._host.copy_(tensor, non_blocking=True)
        self._there: torch.cuda.Event | None = None
        if tensor.is_cuda:
            self._there = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._there.record(torch.cuda.current_stream(tensor.device))

    def numpy(self) -> npt.NDArray[Any]:
        """The numbers; waits for them, and for nothing that the device was told to do later."""
        if self._there is not None:
            self._there.synchronize()
        return self._host.numpy()
