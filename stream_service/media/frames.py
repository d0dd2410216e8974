"""A decoded picture that is converted only when a window keeps it."""

from __future__ import annotations

import numpy as np
from av import VideoFrame as Decoded
from av.video.reformatter import Interpolation

from stream_service.types import Fit, FramePixels


class LiveFrame:
    """One picture of a live source; see :class:`stream_service.types.VideoFrame`.

    Holds the decoder's picture until :meth:`pixels` is first called, and the small converted one after that.
    """

    __slots__ = ("_at", "_decoded", "_fit", "_pixels", "_size", "_source_size")

    def __init__(self, decoded: Decoded, at: float, size: tuple[int, int], fit: Fit) -> None:
        self._at = at
        self._decoded: Decoded | None = decoded
        self._size = size
        self._fit = fit
        self._pixels: FramePixels | None = None
        turned = decoded.rotation % 180 != 0
        self._source_size = (decoded.height, decoded.width) if turned else (decoded.width, decoded.height)

    @property
    def at(self) -> float:
        """Stream seconds."""
        return self._at

    @property
    def source_size(self) -> tuple[int, int]:
        """Width and height as sent, after rotation."""
        return self._source_size

    def pixels(self) -> FramePixels:
        """uint8 ``[H, W, 3]`` RGB of the model's size, upright."""
        if self._pixels is None:
            assert self._decoded is not None
            self._pixels = _convert(self._decoded, self._size, self._fit)
            self._decoded = None
        return self._pixels


def _convert(decoded: Decoded, size: tuple[int, int], fit: Fit) -> FramePixels:
    """Scale by swscale so that the picture covers (crop) or fits (letterbox) ``size``, then turn and centre it."""
    turns = round(decoded.rotation / 90) % 4
    width, height = size if turns % 2 == 0 else (size[1], size[0])
    ratios = (width / decoded.width, height / decoded.height)
    ratio = max(ratios) if fit == "crop" else min(ratios)
    scaled = decoded.reformat(
        width=max(1, round(decoded.width * ratio)),
        height=max(1, round(decoded.height * ratio)),
        format="rgb24",
        interpolation=Interpolation.BICUBIC,
    )
    return _centre(np.rot90(scaled.to_ndarray(), turns), size)


def _centre(picture: FramePixels, size: tuple[int, int]) -> FramePixels:
    """Crop what is larger than ``size`` (width, height) and pad with black what is smaller, both evenly."""
    out = np.zeros((size[1], size[0], 3), np.uint8)
    inner: list[slice] = []
    outer: list[slice] = []
    for have, want in zip(picture.shape[:2], out.shape[:2], strict=True):
        n = min(have, want)
        inner.append(slice((have - n) // 2, (have - n) // 2 + n))
        outer.append(slice((want - n) // 2, (want - n) // 2 + n))
    out[outer[0], outer[1]] = picture[inner[0], inner[1]]
    return out
