"""Patch order and colours against transformers' Qwen2-VL processor; scaling without distortion."""

from __future__ import annotations

import pytest
import torch
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from pruner.families.frames import fit, grid_size, patchify


def test_patches_equal_the_processor() -> None:
    generator = torch.Generator().manual_seed(1)
    frames = torch.randint(0, 256, (2, 4, 112, 84, 3), dtype=torch.uint8, generator=generator)
    ours = patchify(frames).view(2, 2, 8 * 6, 3, 2, 14, 14)  # clip, temporal patch, patch, colour, frame, row, column
    processor = Qwen2VLImageProcessorPil(do_resize=False)
    for clip in range(2):
        for index in range(4):
            # the processor repeats a still picture to fill a temporal patch
            still = processor([frames[clip, index].numpy()], return_tensors="pt")["pixel_values"].view(48, 3, 2, 14, 14)
            torch.testing.assert_close(ours[clip, index // 2, :, :, index % 2], still[:, :, 0], atol=2e-6, rtol=0)


def test_an_odd_number_of_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="even T"):
        patchify(torch.zeros(1, 3, 28, 28, 3, dtype=torch.uint8))


def test_fit_keeps_the_shape_of_things_and_pads_with_black() -> None:
    frames = torch.full((2, 480, 640, 3), 200, dtype=torch.uint8)
    fitted = fit(frames, 168, 168)
    assert fitted.shape == (2, 168, 168, 3)
    assert int(fitted[:, :20].max()) == 0
    assert int(fitted[:, -20:].max()) == 0
    assert int(fitted[:, 22:-22].min()) == 200


def test_fit_leaves_a_fitting_frame_alone() -> None:
    frames = torch.zeros(2, 168, 168, 3, dtype=torch.uint8)
    assert fit(frames, 168, 168) is frames


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(336, 336, (12, 12)), (480, 640, (10, 14)), (720, 1280, (9, 16)), (1280, 720, (16, 9))],
)
def test_grid_follows_the_picture(height: int, width: int, expected: tuple[int, int]) -> None:
    assert grid_size(height, width, 144) == expected
