"""Run the benchmark: see `python -m benchmarks.speed --help` and benchmarks/README.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmarks.report import environment, fingerprint, model_path, print_json, progress, table
from benchmarks.speed import age, cold, memory, window
from benchmarks.speed.bench import Bench, Row
from pruner import LiveModel, PrunerError

MODULES: dict[str, Callable[[Bench], list[Row]]] = {one.NAME: one.rows for one in (window, cold, memory, age)}
_BUDGET = 2048
"""`engine.budget` of configs/nano.yaml."""
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status: 0 done, 1 the model cannot be used."""
    chosen = _parser().parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    try:
        model = LiveModel.load(model_path(chosen.model), device=chosen.device, dtype=_DTYPES[chosen.dtype])
        bench = Bench(
            model,
            budget=chosen.budget,
            repeats=chosen.repeats,
            minutes=chosen.minutes,
            retention=chosen.retention,
        )
        rows = list(_measure(bench, chosen.rows))
    except PrunerError as error:
        print(f"benchmarks.speed: {error}", file=sys.stderr)
        return 1
    print(table(["figure", "value", "target", "parts"], [_cells(row) for row in rows], left=(0, 3)))
    setting = {name: getattr(chosen, name) for name in ("model", "device", "dtype", "budget", "repeats")}
    weights = {"weights": fingerprint(model_path(chosen.model))}
    print_json(
        {"bench": "speed", "rows": [_as_json(row) for row in rows]} | setting | weights | environment(chosen.device)
    )
    return 0


def _measure(bench: Bench, names: Sequence[str]) -> list[Row]:
    found = []
    for name in names:
        progress(f"measuring {name}")
        found += MODULES[name](bench)
    return found


def _cells(row: Row) -> list[str]:
    parts = ", ".join(f"{name} {value:.4g}" for name, value in row.parts.items())
    target = "" if row.target is None else f"<= {row.target:g}"
    return [row.name, f"{row.value:.3f} {row.unit}".rstrip(), target, parts]


def _as_json(row: Row) -> dict[str, Any]:
    parts = {name: round(value, 4) for name, value in row.parts.items()}
    return {"name": row.name, "value": round(row.value, 5), "unit": row.unit, "target": row.target, "parts": parts}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed",
        description="Times and ratios of every stage. Everything of a run is measured in it, so ratios compare.",
    )
    add = parser.add_argument
    add("--model", default="nano", help="'nano' or a model directory (%(default)s)")
    add("--device", default="cpu", help="cpu, cuda or cuda:N (%(default)s)")
    add("--dtype", choices=_DTYPES, default="float32", help="of weights and caches (%(default)s)")
    add("--threads", type=_positive, default=2, help="CPU threads (%(default)s)")
    add("--budget", type=_positive, default=_BUDGET, help="audiovisual tokens of a session (%(default)s)")
    add("--repeats", type=_positive, default=9, help="timings of each thing; the median counts (%(default)s)")
    add("--minutes", type=_minutes, default=(1, 5, 20, 60), help="ages of a session, by commas (1,5,20,60)")
    add("--retention", type=float, default=0.3, help="of the one-shot form, as near as it reaches (%(default)s)")
    add("--rows", type=_rows, default=tuple(MODULES), help=f"by commas: {','.join(MODULES)} (all)")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 on is expected")
    return value


def _minutes(text: str) -> tuple[int, ...]:
    return tuple(map(_positive, text.split(",")))


def _rows(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in MODULES]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no {unknown[0]!r}: choose from {', '.join(MODULES)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
