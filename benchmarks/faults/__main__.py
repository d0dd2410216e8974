"""``python -m benchmarks.faults``: break everything in turn, and say what held."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults.broker import HOST, Broker, NoBroker, broker_killed
from benchmarks.faults.camera import film
from benchmarks.faults.crowd import crowd
from benchmarks.faults.kills import engine_killed, gateway_killed
from benchmarks.faults.network import bad_network, coming_back
from benchmarks.faults.outcome import Outcome, report
from benchmarks.faults.service import Victim
from benchmarks.faults.soak import flow, soak
from benchmarks.live.service import ServiceFailed
from benchmarks.report import environment, fingerprint, model_path, print_json, progress


@dataclass(frozen=True, slots=True)
class Stage:
    """What a scenario has to work with."""

    victim: Victim
    broker: Broker
    clip: Path
    chosen: argparse.Namespace


SCENARIOS: dict[str, Callable[[Stage], Awaitable[Outcome]]] = {
    "network": lambda on: bad_network(on.victim.url, on.clip, on.chosen.minutes),
    "vanish": lambda on: coming_back(on.victim.url, on.clip),
    "engine": lambda on: engine_killed(on.victim, on.clip, on.chosen.kills),
    "gateway": lambda on: gateway_killed(on.victim, on.clip, on.chosen.kills),
    "broker": lambda on: broker_killed(on.victim, on.broker, on.clip, on.chosen.kills),
    "crowd": lambda on: crowd(on.victim, on.clip, on.chosen.subscribers),
    "flow": lambda on: flow(on.victim, on.clip, on.chosen.flow_minutes),
    "soak": lambda on: soak(on.victim, on.clip, on.chosen.soak_minutes),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status: 0 every promise held, 1 one did not, or a scenario could not be run."""
    chosen = _parser().parse_args(arguments)
    try:
        outcomes = asyncio.run(run(chosen))
    except (ServiceFailed, NoBroker) as error:
        print(f"benchmarks.faults: {error}", file=sys.stderr)
        return 1
    print(report(outcomes))
    passed = all(outcome.passed for outcome in outcomes)
    found = {"bench": "faults", "passed": passed, "model": fingerprint(model_path(chosen.model))}
    print_json(found | environment("cpu") | {"scenarios": {one.name: one.as_json() for one in outcomes}})
    return 0 if passed else 1


async def run(chosen: argparse.Namespace) -> list[Outcome]:
    """Each scenario against a service and a broker of its own. Raises ServiceFailed and NoBroker."""
    outcomes = []
    with tempfile.TemporaryDirectory() as name:
        clip = Path(name) / "clip.mp4"
        film(clip)
        for scenario in chosen.only or SCENARIOS:
            folder = Path(name) / scenario
            folder.mkdir()
            progress(f"{scenario} …")
            async with _set(folder, clip, chosen) as stage:
                outcomes.append(await SCENARIOS[scenario](stage))
            progress(report(outcomes[-1:]))
    return outcomes


@contextlib.asynccontextmanager
async def _set(folder: Path, clip: Path, chosen: argparse.Namespace) -> AsyncIterator[Stage]:
    broker = Broker(folder)
    await broker.start()
    try:
        settings = {"engine.model": chosen.model, "mqtt.host": HOST, "mqtt.port": str(broker.port)}
        async with Victim(folder, settings | dict(pair.split("=", 1) for pair in chosen.set)) as victim:
            yield Stage(victim, broker, clip, chosen)
    finally:
        await broker.kill()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--model", default="nano", help="nano, or a directory (%(default)s)")
    parser.add_argument("--minutes", type=float, default=2.0, help="of the bad network (%(default)s)")
    parser.add_argument("--kills", type=int, default=3, help="of each process (%(default)s)")
    parser.add_argument("--subscribers", type=int, default=1_000, help="slow and dead ones (%(default)s)")
    parser.add_argument("--flow-minutes", type=float, default=2.0, help="of one stream (%(default)s)")
    parser.add_argument("--soak-minutes", type=float, default=2.0, help="of coming and going (%(default)s)")
    parser.add_argument("--only", nargs="+", choices=list(SCENARIOS), help="scenarios to run; all without it")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the service")
    return parser


if __name__ == "__main__":
    sys.exit(main())
