"""Run the benchmark: see `python -m benchmarks.live --help` and benchmarks/README.md."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.live.episode import Played, play
from benchmarks.live.footage import film
from benchmarks.live.plan import Episode, NoEpisode, plan
from benchmarks.live.report import lines, parts_table, result
from benchmarks.live.service import Service, ServiceFailed
from benchmarks.live.voice import VOICE, NoVoice, Voice
from benchmarks.report import environment, fingerprint, model_path, print_json, progress
from clients.python import ClientError

_HELD_OUT_SEEDS = 8_100_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status: 0 done, 1 the service, the voice or a scene was not to be had."""
    chosen = _parser().parse_args(arguments)
    try:
        found = asyncio.run(run(chosen))
    except (ServiceFailed, NoVoice, NoEpisode, ClientError) as error:
        print(f"benchmarks.live: {error}", file=sys.stderr)
        return 1
    print(parts_table(found["parts_ms"]))
    print_json(found)
    return 0


async def run(chosen: argparse.Namespace) -> dict[str, Any]:
    """Prepare all scenes, start the service, play every episode, and print each as it ends.

    Raises:
        ServiceFailed, NoVoice, NoEpisode, ClientError: see there.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        voice = Voice(folder)
        episodes = plan(chosen.seed, chosen.episodes, voice.seconds)
        clips = {}
        for episode in episodes:
            clips[episode.number] = folder / f"{episode.number}.mp4"
            film(episode.script, clips[episode.number])
            progress(f"episode {episode.number} filmed: {episode.script.seconds} s")
        settings = {"engine.model": chosen.model} | dict(pair.split("=", 1) for pair in chosen.set)
        async with Service(settings) as service:
            gate = asyncio.Semaphore(chosen.at_once)

            async def one(episode: Episode) -> Played:
                async with gate:
                    played = await play(service.url, episode, clips[episode.number], voice.say(episode.qa.text))
                print("\n".join(lines(played)), flush=True)
                return played

            all_played = await asyncio.gather(*map(one, episodes))
            resident = service.resident_bytes
    setting = {"seed": chosen.seed, "at_once": chosen.at_once, "model": chosen.model, "voice": f"flite {VOICE}"}
    weights = fingerprint(model_path(chosen.model))
    more = {"settings": settings, "weights": weights, "resident_mib": resident >> 20}
    return result(all_played) | setting | more | environment("cpu")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.live",
        description="Spoken questions about generated scenes, over real WebRTC (VP8, Opus), answered by the service.",
    )
    add = parser.add_argument
    add("--episodes", type=_positive, default=20, help="scenes, one question each (%(default)s)")
    add("--seed", type=_seed, default=_HELD_OUT_SEEDS, help="seed of the first scene (%(default)s)")
    add("--at-once", type=_positive, default=1, help="episodes at the same time (%(default)s)")
    add("--model", default="nano", help="'nano' or a model directory, as engine.model (%(default)s)")
    add("--set", action="append", default=[], type=_pair, metavar="KEY=VALUE", help="a setting, as engine.budget=1024")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 on is expected")
    return value


def _seed(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("a whole number from 0 on is expected")
    return value


def _pair(text: str) -> str:
    key, equals, _ = text.partition("=")
    if not equals or key.count(".") != 1:
        raise argparse.ArgumentTypeError("SECTION.KEY=VALUE is expected")
    return text


if __name__ == "__main__":
    sys.exit(main())
