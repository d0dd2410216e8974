"""The pieces of training that can be wrong on their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.multiprocessing import Value

from nano_omni import NanoFacts, tokenizer
from nano_omni.build import corpus
from nano_omni.training.augment import CLEAN, Damage, SpeechBank, damage_audio, damage_video
from nano_omni.training.batch import Capacity
from nano_omni.training.blocks import BLOCK, block_masks
from nano_omni.training.chat import Chat
from nano_omni.training.decoder import Ranges, Visibility, dense_masks
from nano_omni.training.layout import AUDIO, VIDEO, Column, LayoutBuilder, StreamShape, Turn
from nano_omni.training.mix import EVALUATION_SEEDS, Mix, draw_script, draw_stream, pruned_streams
from nano_omni.training.muon import orthogonalise
from nano_omni.training.plan import Plan
from nano_omni.training.rows import all_rows
from nano_omni.training.sight import Depths
from nano_omni.training.stream import Stream
from nano_omni.training.targets import sound_targets, view_targets
from nano_omni.training.trainer import Stage
from nano_omni.world.entities import ACCEPTANCE_SEEDS, TICKS
from nano_omni.world.questions import NEEDLE_CATEGORIES
from nano_omni.world.script import make_script
from nano_omni.world.vocabulary import COLOURS, MOTIONS, SHAPES


@pytest.fixture(scope="module")
def chat() -> Chat:
    return Chat.of(tokenizer.train_tokenizer(corpus(4)), NanoFacts().system_prompt)


def test_equal_corpora_give_equal_tokenizers_that_lose_nothing() -> None:
    first, second = (tokenizer.train_tokenizer(corpus(3)) for _ in range(2))
    text = "<|im_start|>user\nWhat colour is the Ünknown thing?<|im_end|>\n"
    assert first.encode(text) == second.encode(text)
    assert first.decode(first.encode(text)) == text


@pytest.mark.parametrize(("compressed", "video", "audio"), [(False, 16 * 36, 16 * 25), (True, 4 * 36 + 12 * 7, 8 * 35)])
def test_a_trunk_holds_the_tokens_the_pruner_keeps(chat: Chat, compressed: bool, video: int, audio: int) -> None:
    rows = LayoutBuilder(chat, StreamShape(16, compressed=compressed)).finish().rows
    kinds = np.bincount(rows[:, Column.KIND], minlength=3)
    assert (kinds[VIDEO], kinds[AUDIO]) == (video, audio)


def test_a_slot_can_be_taken_back(chat: Chat) -> None:
    builder = LayoutBuilder(chat, StreamShape(8), [Turn(3, "What is it?", "red.")])
    builder.add_slot(5, "What is it?", "blue.")
    before = builder.finish()
    builder.add_slot(6, "What is it?", "green.")
    builder.drop_slot()
    after = builder.finish()
    assert np.array_equal(before.rows, after.rows)
    assert before.slots == after.slots


def _kinds(sight: Ranges | Visibility) -> torch.Tensor:
    """What `block_masks` says of each pair of blocks, [rows, columns]: 0 left out, 1 partial, 2 full; the table of the
    backward pass must say the same."""
    (mask,) = block_masks([sight])
    size = mask.kv_indices.shape[-2:]
    forward, backward = torch.zeros(size, dtype=torch.long), torch.zeros(size, dtype=torch.long)
    for value, counts, indices, turned in (
        (1, mask.kv_num_blocks, mask.kv_indices, False), (2, mask.full_kv_num_blocks, mask.full_kv_indices, False),
        (1, mask.q_num_blocks, mask.q_indices, True), (2, mask.full_q_num_blocks, mask.full_q_indices, True),
    ):  # fmt: skip
        assert counts is not None
        assert indices is not None
        table = backward.T if turned else forward
        for at, (count, listed) in enumerate(zip(counts[0, 0].tolist(), indices[0, 0].tolist(), strict=True)):
            assert listed[:count] == sorted(set(listed[:count]))
            assert not table[at, listed[:count]].any()
            table[at, listed[:count]] = value
    assert forward.equal(backward)
    return forward


def _exact(sight: Ranges | Visibility) -> tuple[torch.Tensor, torch.Tensor]:
    """Whether any row sees any column in each pair of blocks, and whether all see all."""
    (mask,) = dense_masks([sight])
    pairs = mask.view(len(mask) // BLOCK, BLOCK, -1, BLOCK)
    return pairs.any(3).any(1), pairs.all(3).all(1)


def test_blocks_of_attention_cover_all_that_is_visible_and_full_ones_are_full() -> None:
    random = np.random.default_rng(0)
    first = torch.tensor([0] * (3 * BLOCK) + [3 * BLOCK] * BLOCK)
    own = torch.tensor([0] * 200 + [200 + i // 20 * 20 for i in range(184)] + [3 * BLOCK] * BLOCK)
    limit = torch.tensor([0] * 200 + random.integers(130, 200, 184).tolist() + [0] * BLOCK)
    sight = Ranges(first, own, limit)
    kinds, (some, every) = _kinds(sight), _exact(sight)
    assert (kinds > 0).equal(some), "bounds are exact where nothing is missing"
    assert ((kinds == 2) & ~every).sum() == 0
    assert kinds[2, 0] == 2
    assert kinds[3].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("dual", [False, True])
def test_blocks_out_of_sight_are_left_out_wherever_rows_stand(dual: bool) -> None:
    size, random = 7 * BLOCK, torch.Generator().manual_seed(1)
    first, index = torch.zeros(size, dtype=torch.int32), torch.arange(size, dtype=torch.int32)
    slot = (index >= 5 * BLOCK - 40).int()
    trunk = int((slot == 0).sum())
    dead = (torch.rand(size, generator=random) < 0.5) & (slot == 0) & (index > 20)
    order = torch.argsort(dead.int() + 2 * slot, stable=True)
    luck = torch.where(index < 20, -1.0, torch.rand(size, generator=random))
    sight = Visibility(
        ranges=Ranges(first, (index * slot)[order], (trunk * slot)[order]),
        place=order.int(),
        when=torch.full((size,), trunk, dtype=torch.int32),
        death=torch.where(dead, 300, 2**30).int()[order],
        luck=luck[order],
        phase=torch.zeros(size),
        share=torch.where(index < 2 * BLOCK, 0.5, 1.0)[order],
        spared_from=first,
        spared_to=first,
        slot=slot[order],
        dual=dual,
    )
    kinds, (some, every) = _kinds(sight), _exact(sight)
    alive = int((~dead & (slot == 0)).sum())
    gone = torch.zeros(7, dtype=torch.bool)
    gone[-(-alive // BLOCK) : trunk // BLOCK] = True  # they hold only what died before anything looks
    assert gone.any()
    needed = some & ~gone[:, None]
    assert (needed & (kinds == 0)).sum() == 0
    assert (kinds[gone] == 0).all()
    assert (kinds[:, :7][:, gone] == 0).all()
    assert ((kinds == 2) & ~every).sum() == 0
    assert (kinds == 2).any()
    if dual:
        assert (kinds[:2, 7:] == 0).all(), "the trunk looks at where things were"
        assert (kinds[5:, :7] == 0).all(), "a question looks at where they are"


def test_dropped_tokens_are_hidden_and_text_never_is() -> None:
    size = BLOCK
    luck = torch.linspace(0, 0.99, size)
    luck[::2] = -1
    flat, index = torch.zeros(size, dtype=torch.long), torch.arange(size)
    spared, died = (index >= 100) & (index < 110), (index % 10 == 5)
    seen = Visibility(
        ranges=Ranges(flat, flat, flat),
        place=index,
        when=index,
        death=torch.where(died, 90, 10_000),
        luck=luck,
        phase=torch.zeros(size),
        share=torch.full((size,), 0.5),
        spared_from=torch.full((size,), 100),
        spared_to=torch.full((size,), 110),
        slot=flat,
        dual=False,
    )
    (mask,) = dense_masks([seen])
    expected = ((luck < 0.5) | spared) & ~died
    expected[-1] = True
    assert mask[-1].equal(expected)
    assert mask[89, 5]
    assert not mask[90, 5]
    twice = replace(seen, dual=True, slot=(index > 64).long())
    (both,) = dense_masks([twice])
    assert both[:65, :size].equal(mask[:65])
    assert both[65:, size:].equal(mask[65:])
    assert not both[:65, size:].any()
    assert not both[65:, :size].any()


def test_orthogonalised_matrices_have_singular_values_near_one() -> None:
    matrices = torch.randn(3, 96, 32, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(matrices).float())
    assert values.min() > 0.5
    assert values.max() < 1.4


def test_no_damage_changes_nothing_and_all_of_it_stays_in_range() -> None:
    torch.manual_seed(0)
    frames = torch.randint(0, 256, (2, 4, 168, 168, 3), dtype=torch.uint8)
    samples, quietest = torch.rand(2, 48_000) * 2 - 1, torch.full((2,), 0.1)
    assert damage_video(frames, CLEAN).equal(frames)
    assert damage_audio(samples, quietest, CLEAN, None).equal(samples)
    everything = replace(Damage(), light=1.0, camera_noise=1.0, box=1.0, freeze=1.0, codec=1.0, speech=1.0, noise=1.0)
    harmed = damage_video(frames, everything)
    assert harmed.shape == frames.shape
    assert not harmed.equal(frames)
    bank = SpeechBank((torch.rand(3, 41_600) * 20_000).short())
    heard = damage_audio(samples, quietest, everything, bank)
    assert heard.abs().max() <= 1
    assert heard.isfinite().all()


def test_no_row_of_the_evaluation_uses_training_or_acceptance_seeds() -> None:
    assert Mix().seeds[1] <= EVALUATION_SEEDS
    for row in all_rows():
        assert EVALUATION_SEEDS <= row.mix.seeds[0] < row.mix.seeds[1] <= ACCEPTANCE_SEEDS


def test_a_stream_asks_only_about_tracks_it_has() -> None:
    random = np.random.default_rng(0)
    mix = Mix(video_only=1.0, windows=((4, 1.0),))
    plan = draw_stream(mix, draw_script(mix, 4, random), random)
    assert not plan.shape.audio
    assert {asked.category.split(".")[0] for asked in plan.slots} <= {"now", "past", "outside"}


def test_targets_name_what_the_script_shows_and_sounds() -> None:
    script = make_script(1, 8)
    views, sounds = view_targets(script), sound_targets(script)
    assert views.shape == (script.seconds, 36, 3)
    for scene in script.scenes:
        second = -(-scene.start // TICKS)
        if second < script.seconds and scene.end - scene.start >= 2 * TICKS:
            told = {tuple(token) for token in views[second].tolist()} - {(0, 0, 0), (255, 255, 255)}
            classes = {(COLOURS.index(t.colour), SHAPES.index(t.shape), MOTIONS.index(t.motion)) for t in scene.things}
            assert classes == {(colour - 1, shape - 1, motion - 1) for colour, shape, motion in told if colour < 255}
    assert len(sounds) == 25 * script.seconds
    assert len({int(kind) for kind in sounds} - {0}) == len({sound.kind for sound in script.sounds})


def test_the_rate_warms_up_holds_and_falls_in_both_parts() -> None:
    plan = Plan()
    assert plan.rate_at(0.0) == pytest.approx(0.1)
    assert plan.rate_at(0.2) == 1.0
    assert plan.rate_at(plan.whole - 1e-6) == pytest.approx(0.1, abs=1e-3)
    assert plan.rate_at(0.55) == pytest.approx(0.7)
    assert plan.rate_at(1.0) == pytest.approx(0.02)
    late = replace(plan, start=0.5)
    assert late.rate_at(0.5) == pytest.approx(0.07)
    assert late.rate_at(0.52) == pytest.approx(0.7)
    assert [plan.stage_at(moment) for moment in (0.0, 0.1, 0.44, 0.46, 1.0)] == [
        Stage.TOWERS, Stage.WHOLE, Stage.WHOLE, Stage.PRUNED, Stage.PRUNED,
    ]  # fmt: skip
    again = Plan(towers=0.0, short=0.0, fall=0.3, whole=0.5)
    assert [again.stage_at(moment) for moment in (0.0, 0.5)] == [Stage.WHOLE, Stage.PRUNED]
    with pytest.raises(ValueError, match="must rise"):
        Plan(whole=0.2)
    with pytest.raises(ValueError, match="start"):
        Plan(start=1.0)


def test_needles_are_asked_about_and_evidence_is_named() -> None:
    random = np.random.default_rng(3)
    mix = replace(pruned_streams(), splits=(0.0, 1.0, 0.0), windows=((16, 1.0),), needles_only=1.0, hard=0.0)
    asked = [asked for _ in range(4) for asked in draw_stream(mix, draw_script(mix, 16, random), random).slots]
    assert {one.category for one in asked} <= set(NEEDLE_CATEGORIES)
    assert sum(one.evidence is not None for one in asked) > 0.7 * len(asked)
    assert all(0 <= one.evidence[0] < one.evidence[1] <= one.cut + 1 for one in asked if one.evidence)


def test_long_streams_are_only_asked_at_the_end_of_a_full_store() -> None:
    random = np.random.default_rng(4)
    mix = pruned_streams()
    plan = draw_stream(mix, draw_script(mix, 128, random), random)
    assert plan.loss.past == "stored"
    assert plan.shape.compressed
    assert {one.cut for one in plan.slots} == {256}
    assert len(plan.slots) > 200


def test_all_processes_of_a_run_draw_one_length_and_streams_of_their_own(chat: Chat) -> None:
    capacity = Capacity(32, 16, 32, 8 * BLOCK * 4, 512, 16_384)
    short = replace(Mix(), windows=((4, 0.5), (8, 0.5)), fewest_slots=2, slots_per_window=0.5)
    streams = [
        iter(Stream(chat, (short, short, short), Plan(), capacity, 7, rank, Depths(4, 2), Value("d", 0.2)))
        for rank in (0, 1)
    ]
    pairs = [tuple(next(stream)[0].scripts for stream in streams) for _ in range(4)]
    assert all(one.windows == other.windows for one, other in pairs)
    assert {one.windows for one, _ in pairs} == {4, 8}
    assert not any(set(one.seeds.tolist()) & set(other.seeds.tolist()) for one, other in pairs)
