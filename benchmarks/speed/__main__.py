"""Run the benchmark: see `python -m benchmarks.speed --help` and benchmarks/README.md."""

from __future__ import annotations

import gc
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import torch

from benchmarks.report import environment, fingerprint, model_path, print_json, progress
from benchmarks.speed.arguments import Arguments, parse
from benchmarks.speed.bench import Bench, Setting
from benchmarks.speed.floors import Rates
from benchmarks.speed.journal import Entry, Journal, JournalError
from benchmarks.speed.measures import Measure, measures, rates
from benchmarks.speed.report import as_json, as_line, as_text
from benchmarks.speed.shapes import SHAPES, build
from benchmarks.speed.stopwatch import clocks
from pruner import PrunerError
from pruner.families.omni import OmniModel


class TookTooLong(RuntimeError):
    """A measurement was given up."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status: 0 done, 1 a model or the journal cannot be used, or a measurement failed."""
    chosen = parse(arguments)
    torch.set_num_threads(chosen.threads)
    try:
        journal = Journal(chosen.out, None) if chosen.report else run(chosen)
    except (PrunerError, JournalError) as error:
        print(f"benchmarks.speed: {error}", file=sys.stderr)
        return 1
    print(as_text(journal))
    result = as_json(journal)
    print_json(result)
    return 1 if result["failed"] else 0


def run(chosen: Arguments) -> Journal:
    """Measure whatever the journal does not know yet.

    Raises:
        PrunerError: a model cannot be loaded.
        JournalError: the journal belongs to another run.
    """
    journal, known = Journal(chosen.out, _run(chosen)), measures(chosen.minutes)
    for setting in chosen.settings:
        missing = [name for name in chosen.measures if _is_missing(journal, setting.name, name, retry=chosen.retry)]
        if not missing:
            continue
        progress(f"{setting.name}: making the model")
        bench = Bench(_load(setting.name, chosen), setting)
        bench.rates = _rates(journal, setting.name)
        for name in missing:
            entry = _measured(bench, name, known[name], chosen.limit_s)
            journal.add(entry)
            progress(as_line(entry))
        del bench
        _free(chosen.device)
    return journal


def _run(chosen: Arguments) -> dict[str, Any]:
    """What must be equal for figures to be comparable."""
    models = {one.name: _model(one) for one in chosen.settings}
    where = environment(str(chosen.device))
    del where["date"]
    if chosen.device.type == "cuda":  # a run may go on with another GPU of the same kind; each entry tells its host
        where["hardware"] = torch.cuda.get_device_name(chosen.device)
    setting = {"device": str(chosen.device), "dtype": str(chosen.dtype).split(".")[-1]}
    return setting | {"models": models} | where


def _model(setting: Setting) -> dict[str, Any]:
    weights = "random" if setting.name in SHAPES else fingerprint(model_path(setting.name))
    return {
        "weights": weights,
        "budget": setting.budget,
        "repeats": setting.repeats,
        "retention": setting.retention,
        "sessions": list(setting.sessions),
        "past": "quick" if setting.quick else "fused",
        "graphs": list(setting.graphs),
    }


def _is_missing(journal: Journal, model: str, measure: str, *, retry: bool) -> bool:
    if (model, measure) not in journal:
        return True
    return retry and journal.get(model, measure).failed is not None


def _load(name: str, chosen: Arguments) -> OmniModel:
    if name in SHAPES:
        return build(SHAPES[name], device=chosen.device, dtype=chosen.dtype)
    return OmniModel.load(model_path(name), device=chosen.device, dtype=chosen.dtype)


def _rates(journal: Journal, model: str) -> Rates | None:
    """As measured when the run began."""
    if (model, "rates") not in journal:
        return None
    found = {row.name: row.value for row in journal.get(model, "rates").rows}
    return Rates(1e12 * found[rates.PRODUCT], 1e9 * found[rates.COPY]) if found else None


def _measured(bench: Bench, name: str, measure: Measure, limit_s: int) -> Entry:
    began, failed, rows = time.monotonic(), None, []
    try:
        with _limited(limit_s):
            rows = measure(bench)
    except Exception as error:  # whatever it is, the other measurements may succeed; it is told in the result
        failed = f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"
    _free(bench.watch.device)
    seconds = round(time.monotonic() - began, 2)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    hardware, told = environment(str(bench.watch.device))["hardware"], clocks(bench.watch.device)
    return Entry(bench.setting.name, name, rows, failed, seconds, at, hardware, told)


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raises TookTooLong in its body after so many seconds; never for 0."""

    def give_up(number: int, frame: FrameType | None) -> None:
        raise TookTooLong(f"given up after {seconds:g} s")

    if not seconds:
        yield
        return
    handler = signal.signal(signal.SIGALRM, give_up)
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)  # whoever set one before us still wants it
        signal.signal(signal.SIGALRM, handler)


def _free(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(main())
