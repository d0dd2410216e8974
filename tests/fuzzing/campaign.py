"""A number of cases, evenly over all kinds, each reproducible by its name."""

from __future__ import annotations

from collections import Counter

from tests.fuzzing.targets import Targets


async def campaign(count: int, seed: str) -> dict[str, Counter[str]]:
    """Run ``count`` cases; returns how often each kind ended how. Raises RuntimeError that names the harmful case."""
    async with Targets() as targets:
        outcomes = {kind: Counter[str]() for kind in targets.cases}
        kinds = list(outcomes)
        for number in range(count):
            kind = kinds[number % len(kinds)]
            name = f"{kind}:{seed}:{number}"
            try:
                outcomes[kind][await targets.run(kind, name)] += 1
            except Exception as error:
                raise RuntimeError(f"case {name} did harm; again: python -m tests.fuzzing --case {name}") from error
        return outcomes


async def one(name: str) -> str:
    """Run the case of that name alone; returns how it ended."""
    async with Targets() as targets:
        return await targets.run(name.partition(":")[0], name)
