"""How much a picture that stands still changes on its way through a sensor and VP8: what a threshold must allow for."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.live.footage import pillarboxed
from benchmarks.report import progress, table
from nano_omni.world import make_script, pack, render
from pruner.families.frames import TEMPORAL, fit
from pruner.stillness import change, stands_in

__all__ = ["WAYS", "Way", "as_table", "rows", "seen"]

_FPS, _SECONDS = 10, 20
_AT_S = 0.5
"""When the picture is taken of a stream."""
_DRAWN = 240


@dataclass(frozen=True)
class Way:
    """From a still scene to the frames that a service gets.

    Attributes:
        noise: standard deviation of the sensor's, in levels of 255.
        kilobits: wanted rate a second.
    """

    noise: float
    kilobits: int


WAYS = tuple(Way(noise, kilobits) for noise in (0.0, 2.0, 6.0) for kilobits in (300, 1000))


def rows(seeds: Sequence[int], thresholds: Sequence[float], *, side: int, size: int) -> list[dict[str, Any]]:
    """A row for each way: the change from second to second, and what each threshold would share.

    Args:
        seeds: of dense streams, a picture of each.
        thresholds: levels of 255.
        side: of a block, in pixels.
        size: of the frames that the encoder sees.
    """
    found = []
    for way in WAYS:
        streams = [seen(seed, way, size) for seed in seeds]
        steps = [change(one, two, side) for some in streams for one, two in pairwise(some)]
        at = [round(float(value), 2) for value in np.percentile(steps, (50, 95, 100))]
        shared = {
            f"{most:g}": round(float(np.mean([_shared(one, most, side) for one in streams])), 4) for most in thresholds
        }
        found.append({"noise": way.noise, "kilobits": way.kilobits, "change": at, "shared": shared})
        progress(f"noise {way.noise:g}, {way.kilobits} kbit/s")
    return found


def seen(seed: int, way: Way, size: int) -> Tensor:
    """What a service gets of a camera of 640 x 480: uint8 [seconds, 2, size, size, 3]."""
    tick = torch.tensor([round(_AT_S * 30)])
    (drawn,) = render(pack([make_script(seed, 1)]), size=_DRAWN, ticks=tick)
    kept = list(_through_vp8(pillarboxed(drawn[0].numpy()), way, seed))[:: _FPS // 2]
    middle = np.stack(kept)[:, :, 80:560]
    return fit(torch.from_numpy(np.ascontiguousarray(middle)), size, size).reshape(-1, TEMPORAL, size, size, 3)


def as_table(found: Sequence[dict[str, Any]]) -> str:
    """For people."""
    heads = ["noise", "kbit/s", "change, median", "95 %", "most", *(f"shared at {most}" for most in found[0]["shared"])]
    return table(heads, [_cells(one) for one in found], left=())


def _through_vp8(picture: NDArray[np.uint8], way: Way, seed: int) -> Iterator[NDArray[np.uint8]]:
    """As a browser's encoder in real time would send it, with no key frame but the first."""
    file, random = io.BytesIO(), np.random.default_rng(seed)
    with av.open(file, "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=_FPS)
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt, stream.bit_rate, stream.gop_size = "yuv420p", 1000 * way.kilobits, 100_000
        stream.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "error-resilient": "1"}
        for number in range(_FPS * _SECONDS):
            grain = way.noise * random.standard_normal(picture.shape, dtype=np.float32)
            noisy = np.clip(np.rint(picture + grain), 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(noisy, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, _FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file, "r") as sent:
        for frame in sent.decode(video=0):
            yield frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def _shared(seconds: Tensor, most: float, side: int) -> float:
    """Share of the seconds that would not be encoded."""
    shown, shared = seconds[0], 0
    for second in seconds[1:]:
        if stands_in(shown, second, most, side):
            shared += 1
        else:
            shown = second
    return shared / len(seconds)


def _cells(one: dict[str, Any]) -> list[str]:
    steps = [f"{value:.1f}" for value in one["change"]]
    return [
        f"{one['noise']:g}",
        str(one["kilobits"]),
        *steps,
        *(f"{100 * part:.0f} %" for part in one["shared"].values()),
    ]
