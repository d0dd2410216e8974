"""Every policy on synthetic windows: counts, retention, and whom it spares."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pruner.compress import audio_count, video_count
from pruner.errors import InputError, ScheduleError
from pruner.flops import DecoderShape
from pruner.guidance import LayerPruner
from pruner.policies import NAMES, Asked, Policy, Selection, make, spending
from pruner.policies.base import apportion, intra_modality, raw_tokens, segment_starts
from pruner.policies.dash import boundaries
from pruner.policies.omnizip import OmniZip
from pruner.policies.similarity import density_peaks, least_like, spread_out
from pruner.policies.ttm import TemporalMerging
from pruner.policies.window import Window
from pruner.tokens import Modality
from pruner.windows import EncodedWindow

LAYERS, HEADS, PATCHES, PER_PATCH, SOUND, DIM = 28, 3, 2, 144, 50, 12
SHAPE = DecoderShape(LAYERS, 3584, 28, 4, 128, 18_944, 152_064)


def clip(windows: int = 10, *, video: bool = True, audio: bool = True) -> list[EncodedWindow]:
    generator = torch.Generator().manual_seed(windows)
    return [
        EncodedWindow(
            start=2.0 * index,
            seconds=2,
            video=torch.randn(PATCHES, PER_PATCH, DIM, generator=generator) if video else None,
            audio=torch.randn(SOUND, DIM, generator=generator) if audio else None,
            saliency=torch.rand(SOUND, generator=generator) if audio else None,
            new_segment=False,
            compression=1.0,
        )
        for index in range(windows)
    ]


def asked(selections: list[Selection], raw: int) -> Asked:
    chunk, modality = [], []
    for index, selection in enumerate(selections):
        chunk += [index] * selection.total
        modality += [Modality.VIDEO] * len(selection.video) + [Modality.AUDIO] * len(selection.audio)
    return Asked(LAYERS, raw, torch.tensor(chunk), torch.tensor(modality), question=6)


def run(pruner: LayerPruner, count: int, seed: int = 0) -> list[list[int]]:
    """What the decoder does: observe, select, layer by layer; original indices alive after each layer."""
    generator = torch.Generator().manual_seed(seed)
    alive, trace = torch.arange(count), []
    for layer in range(LAYERS):
        pruner.observe(layer, torch.rand(HEADS, 9, len(alive), generator=generator).softmax(dim=-1))
        if pruner.drops[layer]:
            kept = pruner.select(layer)
            assert len(kept) == len(alive) - pruner.drops[layer]
            assert kept.tolist() == sorted(set(kept.tolist()))
            alive = alive[kept]
        trace.append(alive.tolist())
    return trace


def used(policy: Policy, windows: list[EncodedWindow]) -> tuple[float, list[Selection], LayerPruner]:
    selections = policy.compress(windows)
    for selection, window in zip(selections, windows, strict=True):
        assert selection.video.tolist() == sorted(set(selection.video.tolist()))
        assert selection.audio.tolist() == sorted(set(selection.audio.tolist()))
        assert not len(selection.video) or int(selection.video.max()) < window.seen.video
        assert not len(selection.audio) or int(selection.audio.max()) < window.seen.audio
    view = asked(selections, raw_tokens(windows))
    pruner = policy.prune(view)
    spent = spending(SHAPE, policy, pruner, count=view.count, raw=view.raw, text=40, question=12)
    return spent.retention, selections, pruner


@pytest.mark.parametrize("retention", [0.2, 0.3, 0.45])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "all"])
def test_every_policy_meets_its_retention_or_says_what_it_can(name: str, retention: float) -> None:
    windows = clip()
    try:
        realised, selections, pruner = used(make(name, retention, LAYERS), windows)
    except ScheduleError as error:
        low, high = error.reachable
        assert not low <= retention <= high
        return
    assert realised == pytest.approx(retention, abs=0.006)
    run(pruner, sum(selection.total for selection in selections))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["video", "audio"])
def test_a_missing_track_is_no_obstacle(name: str, kind: str) -> None:
    windows = clip(4, video=kind == "video", audio=kind == "audio")
    try:
        _, selections, pruner = used(make(name, 0.4, LAYERS), windows)
    except ScheduleError:
        return
    run(pruner, sum(selection.total for selection in selections))


@pytest.mark.parametrize("name", NAMES)
def test_the_same_clip_gives_the_same_survivors(name: str) -> None:
    windows = clip(4)
    traces = []
    for _ in range(2):
        _, selections, pruner = used(make(name, 0.44, LAYERS), windows)
        traces.append(run(pruner, sum(selection.total for selection in selections)))
    assert traces[0] == traces[1]


def test_reachable_with_omnidrops_compression_begins_where_the_paper_is() -> None:
    _, selections, _ = used(make("omnidrop", 0.3, LAYERS), clip())
    assert sum(len(selection.video) for selection in selections) == video_count(20, 144)
    assert all(len(selection.audio) == audio_count(50) for selection in selections)


def test_groups_restart_where_a_segment_does() -> None:
    windows = clip(6)
    windows[2] = replace(windows[2], new_segment=True)
    windows[3] = replace(windows[3], seconds=1)
    windows[5] = replace(windows[5], audio=None, saliency=None)
    assert segment_starts(windows) == [True, False, True, False, True, True]
    whole_first_patch = [len(selection.video) == 144 + 28 for selection in intra_modality(windows)]
    assert whole_first_patch == [True, False, True, False, True, True]


def test_live_drops_nothing_below_the_fusion_depth() -> None:
    _, _, pruner = used(make("live", 0.3, LAYERS), clip())
    assert not any(pruner.drops[: LAYERS // 2 - 1])
    assert pruner.drops[LAYERS // 2 - 1] > 0


def test_random_keeps_the_same_share_of_both_modalities() -> None:
    _, selections, _ = used(make("random", 0.3, LAYERS), clip())
    assert sum(len(selection.video) for selection in selections) == round(0.3 * 2880)
    assert sum(len(selection.audio) for selection in selections) == round(0.3 * 500)
    other = make("random", 0.3, LAYERS, seed=1).compress(clip())
    assert any(a.video.tolist() != b.video.tolist() for a, b in zip(selections, other, strict=True))


def test_window_keeps_the_end_of_the_clip() -> None:
    assert [selection.total for selection in Window(0.35).compress(clip())] == [0] * 6 + [169] + [338] * 3
    assert Window(0.35).compress(clip())[6].video.tolist() == list(range(144, 288))


@pytest.mark.parametrize(
    ("retention", "layer", "kept"), [(0.3, 1, (0.3 * 28 - 2) / 26), (0.05, 0, (0.05 * 28 - 1) / 27)]
)
def test_fastv_cuts_once_by_the_last_row(retention: float, layer: int, kept: float) -> None:
    _, selections, pruner = used(make("fastv", retention, LAYERS), clip(2))
    count = sum(selection.total for selection in selections)
    assert [index for index, drop in enumerate(pruner.drops) if drop] == [layer]
    assert count - pruner.drops[layer] == round(kept * count)
    attention = torch.zeros(HEADS, 9, count)
    attention[:, :-1] = 1.0
    attention[:, -1, 5] = 0.5
    pruner.observe(layer, attention)
    assert 5 in pruner.select(layer).tolist()


def test_fastv_cannot_keep_less_than_one_full_layer() -> None:
    with pytest.raises(ScheduleError) as caught:
        used(make("fastv", 0.03, LAYERS), clip(2))
    assert caught.value.reachable[0] == pytest.approx(1 / 28)


def test_keep_audio_never_drops_a_sound() -> None:
    _, selections, pruner = used(make("keep_audio", 0.3, LAYERS), clip())
    modality = asked(selections, 1).modality
    last = run(pruner, len(modality))[-1]
    assert int((modality[last] == Modality.AUDIO).sum()) == 500


def test_ttm_keeps_first_patches_whole_and_what_changed_elsewhere() -> None:
    windows = clip(2)
    assert windows[0].video is not None
    windows[0].video[1, :100] = windows[0].video[0, :100]
    first, second = TemporalMerging(0.5).compress(windows)
    assert first.video[:144].tolist() == list(range(144))
    assert len(first.video) + len(second.video) == round(0.5 * 676) - 70
    assert not set(range(144, 244)) & set(first.video.tolist())


def test_ttm_says_that_first_patches_and_sound_are_its_floor() -> None:
    with pytest.raises(ScheduleError) as caught:
        TemporalMerging(0.1).compress(clip(2))
    assert caught.value.reachable[0] == pytest.approx((144 + 70) / 676)


def test_omnizip_gives_more_picture_to_chunks_with_more_salient_sound() -> None:
    windows = clip(2)
    assert windows[0].saliency is not None
    windows[0].saliency.add_(1.0)
    loud, quiet = OmniZip(0.45).compress(windows)
    assert len(loud.audio) > len(quiet.audio)
    assert len(loud.video) > len(quiet.video)
    assert loud.total + quiet.total == round(0.45 * 676)


def test_omnizip_changes_anchors_only() -> None:
    windows = clip(2)
    selections = OmniZip(0.45).compress(windows)
    changed = 0
    for window, selection in zip(windows, selections, strict=True):
        assert window.audio is not None
        assert selection.merged is not None
        assert selection.merged.shape == (len(selection.audio), DIM)
        changed += int((selection.merged != window.audio[selection.audio]).any(dim=1).sum())
    assert 0 < changed <= 2  # 30 of 100 audio tokens are discarded; every twentieth of them is an anchor


def test_dash_finds_boundaries_but_no_splinters() -> None:
    audio = torch.eye(4)[torch.tensor([0] * 40 + [1] * 10 + [2] * 40 + [3] * 10)]
    assert boundaries(audio) == [0, 40]
    assert boundaries(audio[:1]) == [0]


def test_seats_ends_without_any_audiovisual_token() -> None:
    _, selections, pruner = used(make("seats", 0.3, LAYERS), clip())
    count = sum(selection.total for selection in selections)
    trace = run(pruner, count)
    assert [index for index, drop in enumerate(pruner.drops) if drop] == [15, 17, 19, 23]
    assert trace[23] == []
    chunks = asked(selections, 1).chunk[trace[19]]
    assert len(set(chunks.tolist())) == 10


def test_everything_keeps_everything() -> None:
    realised, _, pruner = used(make("all", 1.0, LAYERS), clip(2))
    assert realised == 1.0
    assert not any(pruner.drops)


def test_unknown_policies_are_named_with_their_alternatives() -> None:
    with pytest.raises(InputError, match="omnizip"):
        make("omnizap", 0.3, LAYERS)


def test_live_spends_the_least_after_the_question() -> None:
    windows = clip(30)
    after = {}
    for name in ("all", "omnidrop", "live"):
        policy = make(name, 0.3, LAYERS)
        view = asked(policy.compress(windows), raw_tokens(windows))
        pruner = policy.prune(view)
        spent = spending(SHAPE, policy, pruner, count=view.count, raw=view.raw, text=100, question=64).flops
        assert spent.after_question <= spent.total
        after[name] = spent.after_question / spent.total
    assert after["omnidrop"] == 1.0
    assert after["live"] < 0.5


def test_apportioning_is_exact_within_caps() -> None:
    assert apportion([1, 1, 1], [9, 9, 9], 10).tolist() == [4, 3, 3]
    assert apportion([9, 1, 1], [2, 9, 9], 10).tolist() == [2, 4, 4]
    assert apportion([0, 0], [3, 3], 10).tolist() == [3, 3]
    assert apportion([1, 0], [2, 5], 4).tolist() == [2, 2]
    assert apportion([], [], 4).tolist() == []


def test_ways_to_choose_by_likeness() -> None:
    generator = torch.Generator().manual_seed(0)
    blobs = torch.cat([torch.randn(6, DIM, generator=generator) * 0.1 + 5 * torch.eye(DIM)[k] for k in range(3)])
    assert sorted(int(index) // 6 for index in density_peaks(blobs, 3)) == [0, 1, 2]
    assert sorted(int(index) // 6 for index in spread_out(blobs, torch.ones(18), 3)) == [0, 1, 2]
    moved = blobs.clone()
    moved[4] = -blobs[4]
    assert least_like(moved, blobs, 1).tolist() == [4]
    assert spread_out(torch.ones(5, DIM), torch.ones(5), 3).tolist() == [0, 1, 2]
    assert density_peaks(torch.ones(9, DIM), 4).tolist() == [0, 1, 2, 3]
    assert density_peaks(blobs, 0).tolist() == []
