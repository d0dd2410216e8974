"""What can be asked of the benchmark, read from the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch

from benchmarks.speed.bench import Graphs, Setting
from benchmarks.speed.measures import measures
from benchmarks.speed.shapes import SHAPES

__all__ = ["Arguments", "parse"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_MINUTES = (1, 5, 20, 60)
_GPU_LIMIT_S = 110


@dataclass(frozen=True, slots=True)
class Arguments:
    """The command line; see `--help`.

    Attributes:
        settings: one for each model.
        measures: names of what is to be measured, in order.
    """

    settings: tuple[Setting, ...]
    measures: tuple[str, ...]
    minutes: tuple[int, ...]
    device: torch.device
    dtype: torch.dtype
    threads: int
    limit_s: int
    out: Path | None
    report: bool
    retry: bool


def parse(arguments: Sequence[str] | None = None) -> Arguments:
    """Exits with status 2 where something cannot be meant."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    known = measures(chosen.minutes)
    if unknown := [name for name in chosen.rows or () if name not in known]:
        parser.error(f"there is no {unknown[0]!r}: choose from {', '.join(known)}")
    if chosen.report and chosen.out is None:
        parser.error("--report needs the journal that is to be reported: --out FILE")
    device = torch.device(chosen.device)
    gpu = device.type == "cuda"
    if gpu and not chosen.report and not torch.cuda.is_available():
        parser.error("there is no GPU here: leave --device out")
    return Arguments(
        settings=tuple(_setting(name, chosen) for name in chosen.model),
        measures=tuple(name for name in known if chosen.rows is None or name in chosen.rows),
        minutes=chosen.minutes,
        device=device,
        dtype=_DTYPES[chosen.dtype or ("bfloat16" if gpu else "float32")],
        threads=chosen.threads,
        limit_s=chosen.limit if chosen.limit is not None else _GPU_LIMIT_S if gpu else 0,
        out=chosen.out,
        report=chosen.report,
        retry=chosen.retry,
    )


def _setting(name: str, chosen: argparse.Namespace) -> Setting:
    """Budgets as the deployments in configs/ have them."""
    budget, sessions = {"tiny": (300, (1, 2)), "3b": (8192, (1, 8, 24)), "7b": (8192, (1, 8, 24))}.get(
        name, (2048, (1,))
    )
    past = chosen.past or ("quick" if name in SHAPES else "fused")
    graphs: tuple[Graphs, ...] = chosen.graphs or (("on", "off") if name in SHAPES else ("auto",))
    return Setting(
        name=name,
        budget=chosen.budget or budget,
        repeats=chosen.repeats,
        retention=chosen.retention,
        sessions=chosen.sessions or sessions,
        quick=past == "quick",
        graphs=graphs,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed",
        description="Times and ratios of every stage. Everything of a run is measured in it, so ratios compare.",
    )
    add = parser.add_argument
    models = "by commas: 'nano', a model directory, or random weights of the sizes " + ", ".join(SHAPES)
    add("--model", type=_names, default=("nano",), help=f"{models} (nano)")
    add("--device", type=_device, default="cpu", help="cpu, cuda or cuda:N (%(default)s)")
    add("--dtype", choices=_DTYPES, help="of weights and caches (bfloat16 on a GPU, else float32)")
    add("--threads", type=_positive, default=2, help="CPU threads (%(default)s)")
    add("--budget", type=_positive, help="audiovisual tokens of a session (nano 2048, 3b and 7b 8192)")
    add("--repeats", type=_positive, default=9, help="timings of each thing; the median counts (%(default)s)")
    add("--minutes", type=_numbers, default=_MINUTES, help="ages of a session, by commas (1,5,20,60)")
    add("--sessions", type=_numbers, help="sessions at once, by commas (nano 1; 3b and 7b 1,8,24)")
    add("--past", choices=("fused", "quick"), help="how long pasts come about: fused (nano), quick (random weights)")
    add("--graphs", type=_graphs, help="on, off, auto by commas; targets are the first's (auto; random weights on,off)")
    add("--retention", type=float, default=0.3, help="of the one-shot form, as near as it reaches (%(default)s)")
    add("--rows", type=_names, help=f"by commas: {','.join(measures(_MINUTES))} (all)")
    add("--out", type=Path, help="journal: a run that is cut off goes on where it was")
    add("--retry", action="store_true", help="measure again what failed, as the journal has it")
    add("--report", action="store_true", help="measure nothing: print what the journal holds")
    add("--limit", type=_positive, help=f"seconds after which a measurement is given up ({_GPU_LIMIT_S} on a GPU)")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 on is expected")
    return value


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(_positive, text.split(",")))


def _graphs(text: str) -> tuple[Graphs, ...]:
    known: dict[str, Graphs] = {mode: mode for mode in get_args(Graphs)}
    try:
        return tuple(known[mode] for mode in text.split(","))
    except KeyError as error:
        raise argparse.ArgumentTypeError(f"there is no {error}: choose from {', '.join(known)}") from error


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _device(text: str) -> str:
    try:
        kind = torch.device(text).type
    except RuntimeError as error:
        raise argparse.ArgumentTypeError("cpu, cuda or cuda:N is expected") from error
    if kind not in ("cpu", "cuda"):
        raise argparse.ArgumentTypeError("cpu, cuda or cuda:N is expected")
    return text
