"""2,000 generated inputs in CI; ``python -m tests.fuzzing`` runs as many as wanted."""

from __future__ import annotations

import asyncio

import pytest

from tests.fuzzing.campaign import campaign
from tests.fuzzing.targets import Targets

COUNT = 2_000


@pytest.mark.default
async def test_no_input_crashes_hangs_or_leaves_anything_behind() -> None:
    before = asyncio.all_tasks()
    outcomes = await campaign(COUNT, seed="ci")
    assert sum(sum(kinds.values()) for kinds in outcomes.values()) == COUNT
    for kind, found in outcomes.items():  # inputs all refused for one reason would prove little
        assert len(found) >= 3, (kind, found)
    if left := asyncio.all_tasks() - before:  # DTLS closes on its own time
        _, lasting = await asyncio.wait(left, timeout=60)
        assert not lasting, lasting


@pytest.mark.default
async def test_half_a_character_is_no_question() -> None:
    """It was taken by JSON's parser, and then no event could be written."""
    half = b'{"text": "What is \\ud800 this?"}'
    async with Targets() as targets:
        answer = await targets.post("/v1/sessions/door/questions", half)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_question")
        assert targets.told("door", half) == "invalid_question"
        assert targets.told("door", b"What is this?") == "taken"
