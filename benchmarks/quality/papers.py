"""Exam papers: streams of the scene world, their media, and the questions about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nano_omni.world import QA, Draws, Script, make_script, pack, questions, render, synthesise
from nano_omni.world.entities import WINDOW_SECONDS
from nano_omni.world.questions import Phrasing
from pruner import RawWindow

_SALT = 20_605
"""Sets the draws of questions apart from all others that begin with a stream's seed."""


@dataclass(frozen=True, slots=True)
class Paper:
    """A stream and what is asked about all of it."""

    script: Script
    asked: tuple[QA, ...]


def make_paper(seed: int, windows: int, split: str, count: int, phrasing: Phrasing) -> Paper:
    """Up to `count` different questions about one stream, asked at its end."""
    script = make_script(seed, windows, split)
    drawn = questions(script, script.seconds, Draws(seed, windows, _SALT), 3 * count, phrasing=phrasing)
    return Paper(script, tuple({qa.text: qa for qa in drawn}.values())[:count])


def media(scripts: Sequence[Script], device: str) -> list[list[RawWindow]]:
    """Each stream (all of one length) as the windows that a service would cut."""
    packed = pack(scripts)
    frames = render(packed, device).cpu().numpy()
    samples = synthesise(packed, device).cpu().numpy()
    torch.cuda.empty_cache()
    return [
        [
            RawWindow(float(WINDOW_SECONDS * at), seen, heard)
            for at, (seen, heard) in enumerate(
                zip(np.split(frames[stream], script.windows), np.split(samples[stream], script.windows), strict=True)
            )
        ]
        for stream, script in enumerate(scripts)
    ]
