"""Sizes of recorded passes, and which of them are kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from pruner.graphs import GraphPool, Recorded, rung


@pytest.mark.parametrize("finest", [1, 16, 512])
def test_sizes_grow_by_at_most_a_quarter(finest: int) -> None:
    sizes = [rung(count, finest) for count in range(1, 9000)]
    assert all(size >= count for count, size in enumerate(sizes, start=1))
    assert all(size - count < max(finest, (count + 3) / 4) for count, size in enumerate(sizes, start=1))
    assert sizes == sorted(sizes)
    assert all(rung(size, finest) == size and size % finest == 0 for size in set(sizes)), "a size is its own size"
    assert len(set(sizes)) <= 4 * 14


class _Recorded:
    def __init__(self, work: Callable[[], None]) -> None:
        self.replay = work


class _Pool(GraphPool):
    """A pool that records by keeping the call, since recording needs a GPU."""

    def __init__(self, *, most: int = 3, most_bytes: int = 100, each: int = 0) -> None:
        super().__init__(torch.device("cpu"), capture=False, most=most, most_bytes=most_bytes)
        self.capture, self._each = True, each

    def _record(self, work: Callable[[], None]) -> torch.cuda.CUDAGraph:
        self.nbytes += self._each
        return _Recorded(work)  # type: ignore[return-value]

    def clear(self) -> None:
        self.capture = False
        super().clear()
        self.capture = True


def test_without_capturing_every_pass_runs_as_it_is() -> None:
    pool, done = GraphPool(torch.device("cpu"), capture=False), list[int]()
    for number in range(3):
        pool.run("same", lambda number=number: done.append(number))  # type: ignore[misc]
    assert done == [0, 1, 2]
    assert (len(pool), pool.replayed) == (0, 0)


def test_a_pass_is_recorded_when_it_comes_again() -> None:
    pool, done = _Pool(), list[str]()
    pool.run("a", lambda: done.append("first"))
    assert len(pool) == 0
    pool.run("a", lambda: done.append("second"))
    pool.run("a", lambda: done.append("third"))
    assert done == ["first", "second", "second"], "what was recorded is replayed, whatever is handed in"
    assert (len(pool), pool.replayed) == (1, 2)


def test_the_pass_not_used_for_longest_goes_first() -> None:
    pool, done = _Pool(most=2), list[str]()
    for key in "aabbac":
        pool.run(key, lambda key=key: done.append(key))  # type: ignore[misc]
    assert len(pool) == 1
    pool.run("a", lambda: done.append("not recorded again"))
    pool.run("b", lambda: done.append("as it is"))
    assert done == [*"aabbac", "a", "as it is"]


def test_the_pool_starts_anew_when_it_has_grown_too_large() -> None:
    pool = _Pool(most_bytes=100, each=60)
    for key in "aabb":
        pool.run(key, lambda: None)
    assert (len(pool), pool.nbytes) == (0, 0)
    pool.run("b", lambda: None)
    pool.run("b", lambda: None)
    assert len(pool) == 1


def test_a_recorded_function_gives_what_it_gives_unrecorded() -> None:
    pool, calls = _Pool(most=8), list[int]()

    def call(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        calls.append(len(x))
        return 2 * x, x.sum(dim=0)

    recorded = Recorded("double", call, pool)
    given = [torch.full((size, 2), float(number)) for number, size in enumerate((3, 3, 2, 3, 2, 3, 2))]
    found = [recorded(one) for one in given]
    for one, (double, total) in zip(given, found, strict=True):
        assert torch.equal(double, 2 * one)
        assert torch.equal(total, one.sum(dim=0))
    assert (len(pool), pool.replayed) == (2, 3)
    assert len(calls) == 7, "this pool replays by calling"
