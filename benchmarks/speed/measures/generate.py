"""One more token by transformers' `generate`: the same model, a context of the same length."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.speed.bench import Bench, Row
from benchmarks.speed.stopwatch import Laps, Times

STEP, STATIC = "stock generate step", "stock generate step, static cache"
_STEPS = 32
_WARM = 4
"""Steps at the beginning that do not count: one of them compiles."""


def rows(bench: Bench) -> list[Row]:
    """As it comes: a growing cache, scaled-dot-product attention, no compilation."""
    return [_measured(bench, STEP)]


def static_rows(bench: Bench) -> list[Row]:
    """With a cache of fixed size, for which transformers compiles the decoder where the device is a GPU."""
    compiled = "compiled" if bench.watch.device.type == "cuda" else "not compiled: no GPU"
    return [_measured(bench, STATIC, compilation=compiled, cache_implementation="static")]


def _measured(bench: Bench, name: str, *, compilation: str = "none", **options: Any) -> Row:
    thinker: Any = bench.omni.thinker
    context = len(bench.prompted.embeddings)
    ids = torch.randint(16, bench.costs.shape.vocabulary, (1, context), device=bench.watch.device)
    found: list[float] = []
    for _ in range(2):  # the first time does not count
        stamps = _Stamps(bench.watch.laps())
        with torch.inference_mode():
            thinker.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=_STEPS,
                min_new_tokens=_STEPS,
                do_sample=False,
                pad_token_id=0,
                stopping_criteria=[stamps],
                **options,
            )
        found = [ms for _, ms in stamps.laps.done()]
    text: Any = getattr(thinker.model, "language_model", thinker.model)
    shape = bench.costs.shape
    work = bench.costs.layers(shape.layers, 1, context) + bench.costs.head()
    attention, times = str(text.config._attn_implementation), Times.of(found[_WARM:])
    floor = bench.floor(work)
    return Row.timed(name, times, floor=floor, attention=attention, compilation=compilation, context=context)


class _Stamps:
    """Notes when each token is there; never stops anything."""

    def __init__(self, laps: Laps) -> None:
        self.laps = laps

    def __call__(self, ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        self.laps.mark("step")
        return torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
