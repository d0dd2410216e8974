"""Intra-modality compression against plain loops; streaming equals whole."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pruner.compress import MergeState, audio_count, keep_audio, keep_video, video_count


def merged(tokens: torch.Tensor, keep: int, group: int = 4) -> list[int]:
    """Temporal token merging written out: anchors whole, elsewhere the tokens least like the anchor's."""
    patches, per_patch, _ = tokens.shape
    kept = []
    for patch in range(patches):
        anchor = tokens[patch - patch % group]
        order = list(range(per_patch))
        if patch % group:
            likeness = [float(torch.nn.functional.cosine_similarity(tokens[patch, i], anchor[i], dim=0)) for i in order]
            order = sorted(sorted(order, key=lambda i: (likeness[i], i))[:keep])
        kept += [patch * per_patch + i for i in order]
    return kept


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 40), st.lists(st.integers(1, 3), min_size=1, max_size=9), st.integers(0, 99))
def test_windows_one_by_one_equal_the_whole(patches: int, per_patch: int, cuts: list[int], seed: int) -> None:
    tokens = torch.randn(patches, per_patch, 6, generator=torch.Generator().manual_seed(seed))
    whole, _ = keep_video(tokens)
    state, start, pieces = None, 0, []
    for size in [*cuts, patches]:
        if start < patches:
            piece, state = keep_video(tokens[start : start + size], state)
            pieces += (piece + start * per_patch).tolist()
            start += size
    assert pieces == whole.tolist()
    assert len(whole) == video_count(patches, per_patch)


def test_selection_is_that_of_the_definition() -> None:
    tokens = torch.randn(6, 36, 16, generator=torch.Generator().manual_seed(3))
    assert keep_video(tokens)[0].tolist() == merged(tokens, keep=7)


def test_a_new_segment_starts_with_an_anchor() -> None:
    tokens = torch.randn(2, 10, 4, generator=torch.Generator().manual_seed(0))
    _, state = keep_video(tokens)
    assert state.phase == 2
    assert len(keep_video(tokens, state)[0]) == 4
    assert len(keep_video(tokens, MergeState())[0]) == 12


def test_state_holds_no_anchor_between_groups() -> None:
    _, state = keep_video(torch.randn(4, 5, 3))
    assert state == MergeState()


@pytest.mark.parametrize(("per_patch", "others"), [(36, 7), (144, 28), (10, 2), (1, 0)])
def test_patches_that_are_no_anchors_keep_a_fifth(per_patch: int, others: int) -> None:
    assert video_count(4, per_patch) == per_patch + 3 * others
    assert video_count(1, per_patch, phase=1) == others


def test_paper_compression_lets_44_percent_enter() -> None:
    kept = video_count(4, 144) + 2 * audio_count(50)
    assert kept / (2 * 338) == pytest.approx(0.4408, abs=5e-5)


def test_audio_keeps_the_most_attended_in_order() -> None:
    saliency = torch.tensor([0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6, 0.5, 0.5])
    assert keep_audio(saliency).tolist() == [1, 3, 5, 6, 7, 8, 9]
    assert keep_audio(torch.zeros(10)).tolist() == list(range(7))


def test_a_batch_is_its_rows() -> None:
    generator = torch.Generator().manual_seed(5)
    saliency, tokens = torch.rand(3, 50, generator=generator), torch.randn(3, 4, 36, 8, generator=generator)
    audio, (video, _) = keep_audio(saliency), keep_video(tokens)
    for row in range(3):
        assert audio[row].tolist() == keep_audio(saliency[row]).tolist()
        assert video[row].tolist() == keep_video(tokens[row])[0].tolist()


@pytest.mark.parametrize(("tokens", "kept"), [(50, 35), (25, 18), (0, 0), (1, 1)])
def test_audio_counts_round_to_the_nearest(tokens: int, kept: int) -> None:
    assert audio_count(tokens) == kept
