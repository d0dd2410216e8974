"""What the device reaches, in the same run: every floor is reckoned with it."""

from __future__ import annotations

from benchmarks.speed.bench import Bench, Row
from benchmarks.speed.floors import measure_rates

COPY, PRODUCT = "copy, read and written", "product of large matrices"


def rows(bench: Bench) -> list[Row]:
    """Bandwidth and rate of arithmetic."""
    bench.rates = found = measure_rates(bench.watch, bench.omni.stack.dtype)
    return [Row(COPY, found.bytes / 1e9, "GB/s"), Row(PRODUCT, found.flops / 1e12, "TFLOP/s")]
