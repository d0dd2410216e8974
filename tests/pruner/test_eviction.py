"""Eviction: coverage of the whole past first, information inside a chunk second."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pruner.eviction import EvictionRule, choose_tokens, novelty, quotas, spread

RULE = EvictionRule(floor=4, floor_share=0.5, recent=4)


@st.composite
def pasts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    gaps = draw(st.lists(st.integers(1, 5), min_size=1, max_size=60))
    counts = draw(st.lists(st.integers(1, 80), min_size=len(gaps), max_size=len(gaps)))
    return np.cumsum(gaps), np.asarray(counts)


@settings(max_examples=50, deadline=None)
@given(pasts(), st.integers(0, 2_000))
def test_quotas_fill_the_limit_and_stay_within_bounds(past: tuple[np.ndarray, np.ndarray], limit: int) -> None:
    chunk, count = past
    keep = quotas(chunk, count, limit, RULE)
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
    keep = quotas(np.arange(chunks), np.full(chunks, size), chunks * size // 2, RULE)
    assert (np.diff(keep) >= 0).all()
    whole = int((keep == size).sum())
    fading = keep[: chunks - whole]
    # 1/sqrt(1 + age/recent): no step between neighbours is larger than the curve's own (plus rounding).
    assert all(after - before <= after / 2 + 2 for before, after in pairwise(fading))


def test_a_chunk_four_times_as_old_keeps_half_as_much() -> None:
    keep = quotas(np.arange(400), np.full(400, 1_000), 20_000, RULE)
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
        keep = quotas(chunk, count, 1_600, RULE)
        chunk, count = chunk[keep > 0], keep[keep > 0]
    age = number - chunk
    octaves = [int(np.count_nonzero((age >= 32 * 2**n) & (age < 64 * 2**n))) for n in range(6)]
    assert min(octaves) >= 15, octaves
    assert max(octaves) <= 1.5 * min(octaves), octaves
    assert np.count_nonzero(age < 16) == 16
    assert count[age < 16].mean() > 3 * count[age >= 1_000].mean()


def test_without_room_for_any_floor_one_chunk_stays() -> None:
    assert quotas(np.arange(5), np.full(5, 50), 3, RULE).tolist() == [0, 0, 0, 0, 3]


def test_the_least_informative_go_first_within_a_chunk() -> None:
    chunk, modality = np.zeros(6, dtype=int), np.asarray([1, 1, 1, 1, 2, 2])
    new = np.asarray([0.9, 0.1, 0.5, 0.3, 0.02, 0.01])
    stays = choose_tokens(chunk, modality, new, np.zeros(6), np.full(6, 3))
    assert np.flatnonzero(stays).tolist() == [0, 2, 4]  # sound is ranked against sound


def test_what_a_question_cared_for_is_spared() -> None:
    importance = np.asarray([0, 1.0, 0, 0])
    stays = choose_tokens(
        np.zeros(4, dtype=int), np.ones(4, dtype=int), np.asarray([4, 1, 3, 2]), importance, np.full(4, 2)
    )
    assert np.flatnonzero(stays).tolist() == [0, 1]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 6), st.integers(1, 20), st.data())
def test_every_chunk_keeps_exactly_its_quota(chunks: int, size: int, data: st.DataObject) -> None:
    quota = {number: data.draw(st.integers(0, size)) for number in range(chunks)}
    chunk = np.repeat(np.arange(chunks), size)
    random, allowed = np.random.default_rng(size), np.repeat(list(quota.values()), size)
    stays = choose_tokens(
        chunk, random.integers(1, 3, len(chunk)), random.random(len(chunk)), np.zeros(len(chunk)), allowed
    )
    assert {number: int(stays[chunk == number].sum()) for number in range(chunks)} == quota


def test_a_repeated_token_is_not_new_and_a_changed_one_is() -> None:
    generator = torch.Generator().manual_seed(2)
    before = torch.randn(8, 32, generator=generator) + 5
    here = torch.cat([before[:3], torch.randn(1, 32, generator=generator) + 5])
    new = novelty(here, before)
    assert new[:3].abs().max() < 1e-5
    assert new[3] > 0.3


def test_the_first_chunk_is_rated_against_its_own_mean() -> None:
    plain = torch.tensor([[1.0, 0.0]]).repeat(5, 1)
    odd = torch.tensor([[0.0, 1.0]])
    assert int(novelty(torch.cat([plain, odd]), torch.zeros(0, 2)).argmax()) == 5
