"""The batched towers against transformers' own, whole clips at once."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pruner import LiveModel
from pruner.families.audio import AudioTower
from pruner.families.frames import patchify
from pruner.families.omni import OmniModel
from pruner.families.qwen2_5_omni import part
from pruner.families.vision import VisionTower


@pytest.fixture(scope="module")
def omni(tiny_model: LiveModel) -> OmniModel:
    return tiny_model.model


@pytest.mark.parametrize(("rows", "columns"), [(3, 3), (4, 4), (2, 5)])
def test_vision_equals_transformers_on_a_whole_clip(omni: OmniModel, rows: int, columns: int) -> None:
    tower = part(omni.thinker, "visual")
    frames = torch.randint(0, 256, (2, 6, 28 * rows, 28 * columns, 3), dtype=torch.uint8)
    ours = VisionTower(tower, rows, columns)(frames)
    grid = torch.tensor([[3, 2 * rows, 2 * columns]] * 2)
    theirs: Any = tower(patchify(frames, dtype=torch.float64), grid_thw=grid)
    # transformers rounds norms and rotary angles to fp32
    torch.testing.assert_close(ours.flatten(0, 2), theirs.pooler_output, atol=2e-5, rtol=0)


def test_audio_equals_transformers_on_a_whole_clip(omni: OmniModel) -> None:
    tower = part(omni.thinker, "audio_tower")
    mel = torch.randn(128, 500, dtype=torch.float64)
    ours = AudioTower(tower)
    windows = [ours(mel[None, :, start : start + 200]) for start in (0, 200, 400)]
    lengths = torch.tensor([500])
    theirs: Any = tower(mel, feature_lens=lengths, aftercnn_lens=(lengths - 1) // 2 + 1)
    torch.testing.assert_close(torch.cat([tokens[0] for tokens, _ in windows]), theirs.last_hidden_state)
    saliency = torch.cat([seen[0] for _, seen in windows])
    assert saliency.shape == (125,)
    # every row of attention sums to 1, shared out over the encoder frames of its window
    assert [float(seen.sum()) for _, seen in windows] == pytest.approx([0.5] * 3)


def test_windows_of_a_batch_do_not_touch_each_other(omni: OmniModel) -> None:
    frames = torch.randint(0, 256, (3, 4, 84, 84, 3), dtype=torch.uint8)
    together = omni.vision(frames)
    torch.testing.assert_close(together[1:2], omni.vision(frames[1:2]))
    mel = torch.randn(3, 128, 200, dtype=torch.float64)
    torch.testing.assert_close(omni.audio(mel)[0][2:], omni.audio(mel[2:])[0])
