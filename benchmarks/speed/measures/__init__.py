"""What is measured, the most telling first, since a run may be cut off; each takes less than two minutes on a GPU."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.speed.bench import Bench, Row
from benchmarks.speed.measures import (
    age,
    decode,
    encoders,
    exact,
    generate,
    memory,
    prefill,
    rates,
    throughput,
    window,
)

__all__ = ["Measure", "measures"]

Measure = Callable[[Bench], list[Row]]


def measures(minutes: tuple[int, ...]) -> dict[str, Measure]:
    """By name, in their order.

    Args:
        minutes: ages of a session at which it is asked.
    """
    telling = [one for one in (age.COLD, age.YOUNG, age.OLD) if one in minutes]
    others = [one for one in minutes if one not in telling]
    ages = {f"age-{one}": age.Aged(one) for one in (*telling, *others)}
    first, *later = ages
    return {
        "rates": rates.rows,
        "encoders": encoders.rows,
        "prefill": prefill.rows,
        first: ages[first],
        "decode": decode.rows,
        "generate": generate.rows,
        "window": window.rows,
        "throughput": throughput.rows,
        **{name: ages[name] for name in later},
        "memory": memory.rows,
        "exact": exact.rows,
        "generate-static": generate.static_rows,
    }
