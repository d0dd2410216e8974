"""Position ids against transformers' `get_rope_index` on whole conversations."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.models.qwen2_5_omni.modeling_qwen2_5_omni import Qwen2_5OmniPreTrainedModelForConditionalGeneration

from pruner.families.positions import audio_ids, segment_end, text_ids, video_ids

TEXT, AUDIO, VIDEO, IMAGE, VISION_BOS, VISION_EOS, AUDIO_BOS, AUDIO_EOS = range(1, 9)


class _Layout:
    """Writes a conversation as ids (for transformers) and as positions (ours) at the same time."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        self.next = 0
        self.ids: list[int] = []
        self.positions: list[Tensor] = []
        self.seconds: list[int] = []

    def text(self, count: int) -> None:
        self.ids += [TEXT] * count
        self.positions.append(text_ids(self.next, count))
        self.next += count

    def segment(self, windows: list[int]) -> None:
        self.ids += [VISION_BOS, AUDIO_BOS]
        self.positions.append(text_ids(self.next, 2, shared=True))
        base, second = self.next + 1, 0
        for seconds in windows:
            self.ids += [VIDEO] * (seconds * self.rows * self.columns) + [AUDIO] * (25 * seconds)
            self.positions.append(video_ids(base, second, seconds, self.rows, self.columns))
            self.positions.append(audio_ids(base, second, seconds))
            second += seconds
        end = segment_end(base, second, self.rows, self.columns, video=True, audio=True)
        self.ids += [AUDIO_EOS, VISION_EOS]
        self.positions.append(text_ids(end, 2, shared=True))
        self.next = end + 1
        self.seconds.append(second)


def _rope_index(ids: list[int], seconds: list[int], rows: int, columns: int, *, sound: bool = True) -> Tensor:
    config = SimpleNamespace(
        image_token_id=IMAGE,
        video_token_id=VIDEO,
        audio_token_id=AUDIO,
        vision_start_token_id=VISION_BOS,
        audio_start_token_id=AUDIO_BOS,
        position_id_per_seconds=25,
        seconds_per_chunk=2,
    )
    cls: Any = Qwen2_5OmniPreTrainedModelForConditionalGeneration
    model = SimpleNamespace(
        config=config,
        spatial_merge_size=2,
        get_llm_pos_ids_for_vision=lambda *a: cls.get_llm_pos_ids_for_vision(None, *a),
        get_chunked_index=lambda *a: cls.get_chunked_index(None, *a),
    )
    found, _ = cls.get_rope_index(
        model,
        torch.tensor([ids]),
        video_grid_thw=torch.tensor([[s, rows * 2, columns * 2] for s in seconds]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        use_audio_in_video=sound,
        audio_seqlens=torch.tensor([100 * s for s in seconds]) if sound else None,
        second_per_grids=torch.ones(len(seconds)),
    )
    return found[:, 0]


@pytest.mark.parametrize(("rows", "columns"), [(6, 6), (12, 12), (9, 16), (1, 2)])
def test_turns_segments_and_an_odd_last_window(rows: int, columns: int) -> None:
    layout = _Layout(rows, columns)
    layout.text(9)
    layout.segment([2, 2, 2, 2])
    layout.segment([2, 1])
    layout.text(17)
    layout.segment([1])
    layout.text(11)
    layout.text(8)
    layout.segment([2])
    layout.text(4)
    ours = torch.cat(layout.positions, dim=1)
    assert torch.equal(ours, _rope_index(layout.ids, layout.seconds, rows, columns))


@pytest.mark.parametrize(("rows", "columns", "seconds"), [(6, 6, 4), (40, 3, 1), (3, 40, 1)])
def test_video_without_sound(rows: int, columns: int, seconds: int) -> None:
    ids = [TEXT] * 5 + [VISION_BOS] + [VIDEO] * (seconds * rows * columns) + [VISION_EOS] + [TEXT] * 3
    end = segment_end(6, seconds, rows, columns, video=True, audio=False)
    ours = torch.cat(
        (text_ids(0, 6), video_ids(6, 0, seconds, rows, columns), text_ids(end, 4)),
        dim=1,
    )
    assert torch.equal(ours, _rope_index(ids, [seconds], rows, columns, sound=False))


def test_sound_alone_counts_on() -> None:
    assert torch.equal(audio_ids(10, 2, 1)[0], torch.arange(60, 85))
    assert segment_end(10, 3, 6, 6, video=False, audio=True) == 85
