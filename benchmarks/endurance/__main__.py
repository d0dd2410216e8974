"""Run the benchmark: see `python -m benchmarks.endurance --help` and benchmarks/README.md."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.endurance import checkpoint
from benchmarks.endurance.stream import endure
from benchmarks.faults.outcome import Outcome, report
from benchmarks.faults.service import Victim
from benchmarks.live.footage import film
from benchmarks.live.service import ServiceFailed
from benchmarks.report import environment, fingerprint, model_path, print_json, progress
from benchmarks.speed.shapes import SHAPES
from clients.python import ClientError
from nano_omni.world import make_script

_SEED = 8_300_000
_CLIP_WINDOWS = 8
_LARGE = {
    "engine.budget": "8192",
    "engine.deep_share": "0.36",
    "engine.max_sessions": "4",
    "engine.max_answer_tokens": "32",
    "engine.answer_timeout_s": "60",
    "engine.load_timeout_s": "600",
}
"""As configs/qwen2.5-omni-3b.yaml, with short answers: random weights say nothing."""


class NoCheckpoint(RuntimeError):
    """Random weights could not be written."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status: 0 every promise held, 1 one did not, or it could not be run."""
    chosen = _parser().parse_args(arguments)
    chosen.dtype = chosen.dtype or ("bfloat16" if chosen.device.startswith("cuda") else "float32")
    try:
        outcome, weights = asyncio.run(run(chosen))
    except (ServiceFailed, NoCheckpoint, ClientError, TimeoutError) as error:
        print(f"benchmarks.endurance: {error or 'nothing came in time'}", file=sys.stderr)
        return 1
    print(report([outcome]))
    setting = {"model": chosen.model, "weights": weights, "settings": dict(_pair(one) for one in chosen.set)}
    print_json({"bench": "endurance", **outcome.as_json(), **setting, **environment(chosen.device)})
    return 0 if outcome.passed else 1


async def run(chosen: argparse.Namespace) -> tuple[Outcome, str]:
    """Stream to a service of its own; returns what came of it, and which weights it had.

    Raises:
        ServiceFailed, NoCheckpoint, ClientError, TimeoutError: see there.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip, model, weights = folder / "clip.mp4", chosen.model, "random"
        film(make_script(_SEED, _CLIP_WINDOWS), clip)
        if chosen.model in SHAPES:
            model = str(folder / "model")
            progress(f"{chosen.model}: writing random weights")
            await _write(chosen.model, model, chosen.device, chosen.dtype)
        else:
            weights = fingerprint(model_path(chosen.model))
        progress("starting the service")
        async with Victim(folder, _settings(chosen, model)) as victim:
            progress(f"streaming for {chosen.minutes:g} min")
            times = {"minutes": chosen.minutes, "ask_every_s": chosen.ask_every}
            return await endure(victim, clip, device=chosen.device, **times), weights


def _settings(chosen: argparse.Namespace, model: str) -> dict[str, str]:
    """Of the service. Nothing is spoken, so it need not listen."""
    ours = {"engine.model": model, "engine.device": chosen.device, "engine.dtype": chosen.dtype, "speech.mode": "off"}
    return ours | (_LARGE if chosen.model in ("3b", "7b") else {}) | dict(_pair(one) for one in chosen.set)


async def _write(size: str, directory: str, device: str, dtype: str) -> None:
    command = (sys.executable, "-m", checkpoint.__name__, size, directory, "--device", device, "--dtype", dtype)
    process = await asyncio.create_subprocess_exec(*command)
    if await process.wait():
        raise NoCheckpoint(f"no weights of {size} could be written")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.endurance",
        description="A real WebRTC stream (VP8, Opus, 640 x 480) from a client on this machine, with questions: no "
        "window lost, memory flat.",
    )
    add = parser.add_argument
    add("--model", default="nano", help=f"nano, a directory, or random weights: {', '.join(SHAPES)} (%(default)s)")
    add("--device", default="cpu", help="cpu, cuda or cuda:N (%(default)s)")
    add("--dtype", choices=("float32", "bfloat16"), help="of weights and caches (bfloat16 on a GPU, else float32)")
    add("--minutes", type=float, default=6.0, help="of the stream (%(default)s)")
    add("--ask-every", type=float, default=20.0, help="seconds from one question to the next (%(default)s)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, as engine.budget=1024")
    return parser


def _pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key, value


if __name__ == "__main__":
    sys.exit(main())
