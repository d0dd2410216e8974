"""Importance and survivors against a plain-Python reading of Eq. 5 and Alg. 1."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pruner.importance import Diversity, drop_lowest, mean_importance, peak_importance, temporal_distance


def algorithm_1(scores: list[float], chunk: list[int], drop: int, setting: Diversity) -> list[int]:
    """Alg. 1 with lists: candidates are the 2k lowest, of which the k lowest S + lambda * D go."""
    everything = range(len(scores))
    ranked = sorted(everything, key=lambda i: (scores[i], i))
    span = max(chunk) - (min(chunk) if setting.span == "alive" else 0)
    top = max(scores) if setting.normalise == "max" else 1.0

    def level(i: int) -> float:
        away = abs(chunk[ranked[-1]] - chunk[i]) / max(span, 1)
        return scores[i] / top + setting.weight * away

    gone = sorted(ranked[: 2 * drop], key=lambda i: (level(i), i))[:drop]
    return [i for i in everything if i not in gone]


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 24), st.sampled_from(["none", "max"]), st.sampled_from(["last", "alive"]))
def test_survivors_are_those_of_algorithm_1(data: st.DataObject, count: int, normalise: str, span: str) -> None:
    # Powers of two, and chunks whose span always is one (or none), so that both ways of adding up are exact and ties
    # are real ties: with a span of 6, which of two equals comes first is a matter of rounding.
    scores = data.draw(st.lists(st.sampled_from([2.0**-k for k in range(1, 7)]), min_size=count, max_size=count))
    chunk = sorted(data.draw(st.lists(st.sampled_from([0, 4, 8]), min_size=count, max_size=count)))
    drop = data.draw(st.integers(0, count))
    setting = Diversity(0.25, normalise, span)  # type: ignore[arg-type]
    got = drop_lowest(torch.tensor(scores, dtype=torch.float64), drop, torch.tensor(chunk), setting)
    assert got.tolist() == algorithm_1(scores, chunk, drop, setting)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.data())
def test_exactly_the_asked_count_goes_and_the_lowest_first(count: int, data: st.DataObject) -> None:
    drop = data.draw(st.integers(0, count))
    scores = torch.rand(count, generator=torch.Generator().manual_seed(count))
    kept = drop_lowest(scores, drop)
    assert len(kept) == count - drop
    gone = torch.ones(count, dtype=torch.bool)
    gone[kept] = False
    if 0 < drop < count:
        assert scores[gone].max() <= scores[kept].min()


def test_equal_scores_go_in_sequence_order() -> None:
    assert drop_lowest(torch.zeros(6), 2).tolist() == [2, 3, 4, 5]


def test_a_batch_is_its_rows() -> None:
    scores = torch.rand(3, 20, generator=torch.Generator().manual_seed(1))
    chunk = torch.arange(20).div(4, rounding_mode="floor").expand(3, 20)
    setting = Diversity(normalise="max")
    together = drop_lowest(scores, 7, chunk, setting)
    for row in range(3):
        assert together[row].tolist() == drop_lowest(scores[row], 7, chunk[row], setting).tolist()


def test_distance_is_relative_to_the_chunks_still_alive() -> None:
    chunk = torch.tensor([100, 100, 104, 110])
    assert temporal_distance(torch.tensor(3), chunk).tolist() == pytest.approx([1.0, 1.0, 0.6, 0.0])
    assert temporal_distance(torch.tensor(0), chunk, "last").tolist() == pytest.approx([0.0, 0.0, 4 / 110, 10 / 110])
    assert temporal_distance(torch.tensor(0), torch.tensor([5, 5])).tolist() == [0.0, 0.0]


def test_diversity_spares_the_far_end_of_the_stream() -> None:
    scores = torch.tensor([0.10, 0.11, 0.12, 0.13, 0.9])
    chunk = torch.tensor([0, 4, 4, 4, 4])
    assert drop_lowest(scores, 2, chunk, Diversity(normalise="max")).tolist() == [0, 3, 4]
    assert drop_lowest(scores, 2).tolist() == [2, 3, 4]


def test_paper_score_is_the_mean_over_heads_and_rows() -> None:
    attention = torch.tensor([[[0.1, 0.9], [0.3, 0.7]], [[0.5, 0.5], [0.5, 0.5]]])
    assert mean_importance(attention).tolist() == pytest.approx([0.35, 0.65])


def test_running_maximum_never_forgets_a_layer() -> None:
    first = peak_importance(torch.tensor([[[0.1, 0.9], [0.3, 0.7]]]))
    assert first.tolist() == pytest.approx([0.3, 0.9])
    assert peak_importance(torch.tensor([[[0.6, 0.4]]]), first).tolist() == pytest.approx([0.6, 0.9])
