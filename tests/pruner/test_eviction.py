"""Eviction: coverage of the whole past first, information inside a chunk second."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pruner.eviction import EvictionRule, choose_tokens, quotas, spread
from pruner.novelty import information, novelty, of_chunks

RULE = EvictionRule(floor=4, floor_share=0.5, recent=4)


ALIKE = np.ones(4_000)
"""Every chunk informs as much as any other."""


@st.composite
def pasts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    gaps = draw(st.lists(st.integers(1, 5), min_size=1, max_size=60))
    counts = draw(st.lists(st.integers(1, 80), min_size=len(gaps), max_size=len(gaps)))
    informs = draw(st.lists(st.sampled_from([0.0, 0.01, 0.5, 1.0, 2.0]), min_size=len(gaps), max_size=len(gaps)))
    return np.cumsum(gaps), np.asarray(counts), np.maximum(informs, [0.5] + [0.0] * (len(gaps) - 1))


@settings(max_examples=50, deadline=None)
@given(pasts(), st.integers(0, 2_000))
def test_quotas_fill_the_limit_and_stay_within_bounds(
    past: tuple[np.ndarray, np.ndarray, np.ndarray], limit: int
) -> None:
    chunk, count, informs = past
    keep = quotas(chunk, count, informs, limit, RULE)
    assert (keep >= 0).all()
    assert (keep <= count).all()
    represented = int(count[keep > 0].sum())
    assert int(keep.sum()) == min(limit, represented) or int(keep.sum()) == min(limit, int(count.sum()))
    if np.minimum(count, RULE.floor).sum() <= RULE.floor_share * limit:
        assert (keep >= np.minimum(count, RULE.floor)).all()
        assert int(keep.sum()) == min(limit, int(count.sum()))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 60), st.integers(20, 80))
def test_quotas_shrink_smoothly_with_age(chunks: int, size: int) -> None:
    keep = quotas(np.arange(chunks), np.full(chunks, size), ALIKE[:chunks], chunks * size // 2, RULE)
    assert (np.diff(keep) >= 0).all()
    whole = int((keep == size).sum())
    fading = keep[: chunks - whole]
    # 1/sqrt(1 + age/recent): no step between neighbours is larger than the curve's own (plus rounding).
    assert all(after - before <= after / 2 + 2 for before, after in pairwise(fading))


def test_a_chunk_four_times_as_old_keeps_half_as_much() -> None:
    keep = quotas(np.arange(400), np.full(400, 1_000), ALIKE[:400], 20_000, RULE)
    ages = np.asarray([12, 60, 252])  # 1 + age / recent = 4, 16, 64
    assert np.allclose(keep[399 - ages] / keep[399], [1 / 2, 1 / 4, 1 / 8], rtol=0.05)


def test_thinning_spreads_over_the_past_and_keeps_both_ends() -> None:
    stay = spread(np.arange(100), np.full(100, 4), 40, recent=3)
    chunks = stay.tolist()
    assert chunks[0] == 0
    assert chunks[-3:] == [97, 98, 99]
    gaps = np.diff(chunks[:-3])
    assert len(chunks) == 10
    assert gaps.max() <= 2 * gaps.min()


def test_thinning_a_growing_stream_stays_even() -> None:
    alive = np.arange(0)
    for chunk in range(1_000):
        alive = np.append(alive, chunk)
        alive = alive[spread(alive, np.ones(len(alive), dtype=int), 40, recent=8)]
    gaps = np.diff(alive[:-8])
    assert alive[0] == 0
    assert len(alive) == 40
    assert gaps.max() <= 2.5 * gaps.min()


def test_hours_of_stream_are_thinned_by_age_not_by_time() -> None:
    """Every doubling of age holds about as many chunks as any other, however long the stream has been going on."""
    chunk, count = np.arange(0), np.arange(0)
    for number in range(3_600):
        chunk, count = np.append(chunk, number), np.append(count, 60)
        keep = quotas(chunk, count, ALIKE[: len(chunk)], 1_600, RULE)
        chunk, count = chunk[keep > 0], keep[keep > 0]
    age = number - chunk
    octaves = [int(np.count_nonzero((age >= 32 * 2**n) & (age < 64 * 2**n))) for n in range(6)]
    assert min(octaves) >= 15, octaves
    assert max(octaves) <= 1.5 * min(octaves), octaves
    assert np.count_nonzero(age < 16) == 16
    assert count[age < 16].mean() > 3 * count[age >= 1_000].mean()


def test_without_room_for_any_floor_one_chunk_stays() -> None:
    assert quotas(np.arange(5), np.full(5, 50), ALIKE[:5], 3, RULE).tolist() == [0, 0, 0, 0, 3]


def test_what_informs_twice_as_much_keeps_twice_as_many() -> None:
    rule = EvictionRule(floor=2, floor_share=1.0, recent=10**9)
    keep = quotas(np.arange(40), np.full(40, 500), np.tile([1.0, 2.0, 4.0, 8.0], 10), 6_000, rule)
    assert np.allclose(keep.reshape(10, 4), [40, 80, 160, 320], atol=2)


def test_a_chunk_without_any_news_keeps_its_floor_while_floors_fit() -> None:
    informs = np.tile([1.0, 0.0, 0.0, 0.0], 25)
    keep = quotas(np.arange(100), np.full(100, 60), informs, 1_000, RULE)
    assert keep.min() == RULE.floor
    assert keep[::4][:-2].min() > 2 * RULE.floor


def test_of_a_long_shot_its_beginning_stays() -> None:
    """When whole chunks must leave, those that only repeat what came before go first, and the past stays covered."""
    chunk, count, informs = np.arange(0), np.arange(0), np.arange(0.0)
    for number in range(1_800):
        new = 1.0 if number % 6 == 0 else 0.2
        chunk, count, informs = np.append(chunk, number), np.append(count, 60), np.append(informs, new)
        keep = quotas(chunk, count, informs, 1_600, RULE)
        chunk, count, informs = chunk[keep > 0], keep[keep > 0], informs[keep > 0]
    age = number - chunk
    old = age >= 200
    assert np.count_nonzero(informs[old] == 1.0) >= 0.9 * np.count_nonzero(old)
    octaves = [int(np.count_nonzero((age >= 100 * 2**n) & (age < 200 * 2**n))) for n in range(4)]
    assert octaves[:2] == [17, 33], "every beginning of ten minutes is there"
    assert octaves[2] == pytest.approx(octaves[3], rel=0.25)


def test_pictures_and_sound_inform_on_one_scale() -> None:
    modality = np.asarray([1, 1, 1, 2, 2, 2])
    new = np.asarray([0.2, 0.4, 0.6, 0.001, 0.002, 0.003])
    informs = information(np.arange(6), modality, new, np.zeros(6))
    assert np.allclose(informs[:3], informs[3:])
    assert np.allclose(informs[:3], [1 / 3, 1 / 2, 3 / 5])


def test_without_any_news_everything_informs_alike() -> None:
    informs = information(np.asarray([0, 1, 1]), np.asarray([1, 1, 2]), np.zeros(3), np.zeros(3))
    assert informs.tolist() == [0.5, 0.5, 0.5]


def test_more_of_the_same_kind_counts_less() -> None:
    """However loud a moment is, something of what was to be seen in it stays."""
    modality = np.asarray([1] * 6 + [2] * 6)
    new = np.asarray([0.1, 0.11, 0.12, 0.1, 0.1, 0.1, 8, 9, 7, 8, 9, 7.0])
    chunk = np.zeros(12, dtype=int)
    others = np.asarray([1] * 50 + [2] * 50), np.ones(100)
    informs = information(
        np.append(chunk, np.arange(1, 101)), np.append(modality, others[0]), np.append(new, others[1]), np.zeros(112)
    )[:12]
    assert informs[10] == 2 * informs[7]  # equal news, of which the later ranks first
    stays = choose_tokens(chunk, informs, np.full(12, 9))
    assert stays[6:].all()
    assert np.flatnonzero(stays[:6]).tolist() == [1, 2, 5]


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 60), st.integers(0, 2**16))
def test_what_a_token_informs_does_not_change_when_lesser_ones_leave(size: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    chunk, modality = np.sort(random.integers(0, 4, size)), random.integers(1, 3, size)
    care, even = random.random(size), np.ones(size)  # equal news, so that what leaves does not change their mean
    informs = information(chunk, modality, even, care)
    stays = choose_tokens(chunk, informs, random.integers(1, 9, 4)[chunk])
    assert np.allclose(information(chunk[stays], modality[stays], even[stays], care[stays]), informs[stays])


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.integers(1, 30), st.integers(1, 6), st.integers(0, 2**16))
def test_thinning_a_chunk_does_not_change_what_it_informs(chunks: int, size: int, best: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    chunk, informs = np.repeat(np.arange(chunks), size), random.random(chunks * size)
    quota = random.integers(min(best, size), size + 1, chunks)
    stays = choose_tokens(chunk, informs, quota[chunk])
    assert np.allclose(of_chunks(chunk[stays], informs[stays], best), of_chunks(chunk, informs, best))


def test_what_a_chunk_informs_is_the_mean_of_its_best() -> None:
    informs = of_chunks(np.asarray([3, 3, 3, 7]), np.asarray([0.1, 0.9, 0.5, 0.3]), 2)
    assert np.allclose(informs, [0.7, 0.3])


def test_the_least_informative_go_first_within_a_chunk() -> None:
    informs = np.asarray([0.9, 0.1, 0.5, 0.3, 0.7, 0.2])
    stays = choose_tokens(np.zeros(6, dtype=int), informs, np.full(6, 3))
    assert np.flatnonzero(stays).tolist() == [0, 2, 4]


def test_what_a_question_cared_for_is_spared() -> None:
    chunk, modality = np.zeros(4, dtype=int), np.ones(4, dtype=int)
    informs = information(chunk, modality, np.asarray([4, 1, 3, 2.0]), np.asarray([0, 1.0, 0, 0]))
    stays = choose_tokens(chunk, informs, np.full(4, 2))
    assert np.flatnonzero(stays).tolist() == [0, 1]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 6), st.integers(1, 20), st.data())
def test_every_chunk_keeps_exactly_its_quota(chunks: int, size: int, data: st.DataObject) -> None:
    quota = {number: data.draw(st.integers(0, size)) for number in range(chunks)}
    chunk = np.repeat(np.arange(chunks), size)
    random, allowed = np.random.default_rng(size), np.repeat(list(quota.values()), size)
    stays = choose_tokens(chunk, random.random(len(chunk)), allowed)
    assert {number: int(stays[chunk == number].sum()) for number in range(chunks)} == quota


def test_a_repeated_token_is_not_new_and_a_changed_one_is() -> None:
    generator = torch.Generator().manual_seed(2)
    before = torch.randn(8, 32, generator=generator) + 5
    here = torch.cat([before[:3], torch.randn(1, 32, generator=generator) + 5])
    new = novelty(here, before)
    assert new[:3].abs().max() < 1e-5
    assert new[3] > 100 * new[:3].max()


def test_a_sound_is_news_and_silence_is_not() -> None:
    """Silence differs from its mean in no particular direction; relative to that mean, none of it is like any other."""
    generator = torch.Generator().manual_seed(3)
    common, sound = torch.randn(2, 64, generator=generator)
    quiet = common + 0.05 * torch.randn(70, 64, generator=generator)
    heard = common + 0.6 * sound + 0.05 * torch.randn(10, 64, generator=generator)
    new = novelty(torch.cat([quiet[35:], heard]), quiet[:35])
    assert new[35:].min() > 5 * new[:35].max()


def test_what_is_all_around_is_no_news_even_when_it_changes() -> None:
    """After a cut everything is unlike the chunk before: a thing before a wall is more news than the wall."""
    generator = torch.Generator().manual_seed(4)
    old, wall, thing = torch.randn(3, 64, generator=generator)
    before, here = (middle + 0.1 * torch.randn(36, 64, generator=generator) for middle in (old, wall))
    here[:3] = thing + 0.1 * torch.randn(3, 64, generator=generator)
    assert set(novelty(here, before).topk(3).indices.tolist()) == {0, 1, 2}


def test_the_first_chunk_is_rated_against_its_own_mean() -> None:
    plain = torch.tensor([[1.0, 0.0]]).repeat(5, 1)
    odd = torch.tensor([[0.0, 1.0]])
    assert int(novelty(torch.cat([plain, odd]), torch.zeros(0, 2)).argmax()) == 5
