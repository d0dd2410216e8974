"""``python -m benchmarks.faults``: break everything in turn, and say what held."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from benchmarks.faults.camera import film
from benchmarks.faults.crowd import crowd
from benchmarks.faults.kills import engine_killed, gateway_killed
from benchmarks.faults.network import bad_network, coming_back
from benchmarks.faults.outcome import Outcome, report
from benchmarks.faults.service import Victim
from benchmarks.faults.soak import soak
from benchmarks.live.service import ServiceFailed
from benchmarks.report import environment, fingerprint, model_path, print_json, progress

Scenario = Callable[[Victim, Path, argparse.Namespace], Awaitable[Outcome]]
SCENARIOS: dict[str, Scenario] = {
    "network": lambda victim, clip, chosen: bad_network(victim.url, clip, chosen.minutes),
    "vanish": lambda victim, clip, chosen: coming_back(victim.url, clip),
    "engine": lambda victim, clip, chosen: engine_killed(victim, clip, chosen.kills),
    "gateway": lambda victim, clip, chosen: gateway_killed(victim, clip, chosen.kills),
    "crowd": lambda victim, clip, chosen: crowd(victim, clip, chosen.subscribers),
    "soak": lambda victim, clip, chosen: soak(victim, clip, chosen.soak_minutes),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status: 0 every promise held, 1 one did not, or a scenario could not be run."""
    chosen = _parser().parse_args(arguments)
    try:
        outcomes = asyncio.run(run(chosen))
    except ServiceFailed as error:
        print(f"benchmarks.faults: {error}", file=sys.stderr)
        return 1
    print(report(outcomes))
    passed = all(outcome.passed for outcome in outcomes)
    found = {"bench": "faults", "passed": passed, "model": fingerprint(model_path(chosen.model))}
    print_json(found | environment("cpu") | {"scenarios": {one.name: one.as_json() for one in outcomes}})
    return 0 if passed else 1


async def run(chosen: argparse.Namespace) -> list[Outcome]:
    """Each scenario against a service of its own. Raises ServiceFailed."""
    outcomes = []
    with tempfile.TemporaryDirectory() as name:
        clip = Path(name) / "clip.mp4"
        film(clip)
        for scenario in chosen.only or SCENARIOS:
            folder = Path(name) / scenario
            folder.mkdir()
            progress(f"{scenario} …")
            outcomes.append(await _one(SCENARIOS[scenario], folder, clip, chosen))
            progress(report(outcomes[-1:]))
    return outcomes


async def _one(scenario: Scenario, folder: Path, clip: Path, chosen: argparse.Namespace) -> Outcome:
    settings = {"engine.model": chosen.model} | dict(pair.split("=", 1) for pair in chosen.set)
    async with Victim(folder, settings) as victim:
        return await scenario(victim, clip, chosen)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--model", default="nano", help="nano, or a directory (%(default)s)")
    parser.add_argument("--minutes", type=float, default=2.0, help="of the bad network (%(default)s)")
    parser.add_argument("--kills", type=int, default=3, help="of each process (%(default)s)")
    parser.add_argument("--subscribers", type=int, default=1_000, help="slow and dead ones (%(default)s)")
    parser.add_argument("--soak-minutes", type=float, default=2.0, help="of coming and going (%(default)s)")
    parser.add_argument("--only", nargs="+", choices=list(SCENARIOS), help="scenarios to run; all without it")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the service")
    return parser


if __name__ == "__main__":
    sys.exit(main())
