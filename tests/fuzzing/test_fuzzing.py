"""2,000 generated inputs in CI; ``python -m tests.fuzzing`` runs as many as wanted."""

from __future__ import annotations

import asyncio

import pytest

from tests.fuzzing.campaign import campaign

COUNT = 2_000


@pytest.mark.default
async def test_no_input_crashes_hangs_or_leaves_anything_behind() -> None:
    before = asyncio.all_tasks()
    outcomes = await campaign(COUNT, seed="ci")
    assert sum(sum(kinds.values()) for kinds in outcomes.values()) == COUNT
    for kind, found in outcomes.items():  # inputs all refused for one reason would prove little
        assert len(found) >= 3, (kind, found)
    if left := asyncio.all_tasks() - before:  # DTLS closes on its own time
        _, lasting = await asyncio.wait(left, timeout=5)
        assert not lasting, lasting
