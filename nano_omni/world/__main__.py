"""Write a stream as a clip with its questions and answers: `python -m nano_omni.world --seed 7 --out clip.mp4`."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nano_omni.world.clip import render_stream, write_clip
from nano_omni.world.draws import Draws
from nano_omni.world.entities import SPLITS, TICKS, Script
from nano_omni.world.pack import pack
from nano_omni.world.questions import CATEGORIES, questions
from nano_omni.world.script import make_script
from nano_omni.world.sound import synthesise


def truth(script: Script, cuts: Sequence[int]) -> dict[str, Any]:
    """Return what happens in a stream and one canonical question a category at each cut, ready for JSON."""
    draws = Draws(script.seed, len(SPLITS))
    asked = [
        asdict(qa)
        for cut in cuts
        for name in CATEGORIES
        for qa in questions(script, cut, draws, 1, [name], phrasing="canonical")
    ]
    scenes = [
        {
            "start": scene.start / TICKS,
            "end": min(scene.end / TICKS, script.seconds),
            "objects": [
                {"shape": thing.shape, "colour": thing.colour, "place": thing.place, "motion": thing.motion}
                for thing in scene.things
            ],
        }
        for scene in script.scenes
    ]
    sounds = [{"kind": sound.kind, "start": sound.start / TICKS, "end": sound.end / TICKS} for sound in script.sounds]
    facts = {"seed": script.seed, "windows": script.windows, "split": script.split, "seconds": script.seconds}
    return {**facts, "scenes": scenes, "sounds": sounds, "questions": asked}


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and write the files."""
    parser = argparse.ArgumentParser(prog="python -m nano_omni.world", description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--windows", type=int, default=16, help="length in windows of 2 s")
    parser.add_argument("--split", choices=SPLITS, default="dense")
    parser.add_argument("--out", type=Path, default=Path("clip.mp4"), help=".mp4 (H.264, AAC) or .webm (VP9, Opus)")
    parser.add_argument("--truth", type=Path, help="where to write what happens, with questions and answers, as JSON")
    parser.add_argument("--size", type=int, default=480, help="side of the square picture in pixels, even")
    parser.add_argument("--fps", type=int, default=15, help="frames a second, a divisor of 30")
    chosen = parser.parse_args(arguments)
    try:
        script = make_script(chosen.seed, chosen.windows, chosen.split)
        samples = synthesise(pack([script]))[0].numpy()
        write_clip(chosen.out, render_stream(script, chosen.size, chosen.fps), samples, chosen.fps)
    except ValueError as error:
        parser.error(str(error))
    if chosen.truth is not None:
        cuts = sorted({max(1, script.seconds * part // 4) for part in (1, 2, 3, 4)})
        chosen.truth.write_text(json.dumps(truth(script, cuts), indent=1) + "\n")


if __name__ == "__main__":
    main()
