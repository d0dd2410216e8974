"""Pictures come out at the model's size, upright, and are converted at most once."""

from __future__ import annotations

import numpy as np
import pytest
from av import VideoFrame as Decoded

from stream_service.media.frames import LiveFrame
from stream_service.types import Fit


def quarters(width: int, height: int) -> Decoded:
    """A picture with a red left and a blue right half, and a black band of a tenth along its top."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[:, : width // 2, 0] = 255
    rgb[:, width // 2 :, 2] = 255
    rgb[: height // 10] = 0
    return Decoded.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")


@pytest.mark.parametrize("fit", ["crop", "letterbox"])
@pytest.mark.parametrize("source", [(640, 480), (480, 640), (1280, 720), (168, 168), (96, 64), (641, 359)])
@pytest.mark.parametrize("size", [(168, 168), (224, 112)])
def test_every_shape_becomes_the_models(source: tuple[int, int], size: tuple[int, int], fit: Fit) -> None:
    pixels = LiveFrame(quarters(*source), 1.0, size, fit).pixels()
    assert pixels.shape == (size[1], size[0], 3)
    assert pixels.dtype == np.uint8


def test_a_crop_shows_the_centre() -> None:
    pixels = LiveFrame(quarters(640, 480), 0.0, (160, 160), "crop").pixels()
    assert pixels[80, 20, 0] > 200
    assert pixels[80, 140, 2] > 200
    assert abs(int(np.argmax(pixels[:, 20, 0] > 128)) - 16) <= 1
    assert pixels[80, 0, 0] > 200


def test_a_letterbox_shows_everything_on_black() -> None:
    pixels = LiveFrame(quarters(640, 480), 0.0, (160, 160), "letterbox").pixels()
    assert not pixels[:20].any()
    assert not pixels[140:].any()
    assert pixels[80, 20, 0] > 200


def test_a_picture_is_converted_once_and_its_source_let_go() -> None:
    frame = LiveFrame(quarters(640, 480), 0.0, (168, 168), "crop")
    assert frame.source_size == (640, 480)
    assert frame.pixels() is frame.pixels()
    assert frame._decoded is None


class Turned:
    """A decoded picture that says, as a display matrix does, how far it must be turned counterclockwise."""

    def __init__(self, decoded: Decoded, rotation: int) -> None:
        self._decoded = decoded
        self.rotation = rotation

    def __getattr__(self, name: str) -> object:
        return getattr(self._decoded, name)


@pytest.mark.parametrize(("rotation", "red_at"), [(90, (140, 80)), (-90, (20, 80)), (180, (80, 140)), (0, (80, 20))])
def test_a_turned_picture_is_shown_upright(rotation: int, red_at: tuple[int, int]) -> None:
    frame = LiveFrame(Turned(quarters(640, 480), rotation), 0.0, (160, 160), "crop")  # type: ignore[arg-type]
    assert frame.source_size == ((480, 640) if rotation % 180 else (640, 480))
    assert frame.pixels()[red_at][0] > 200
