"""Targets for the throw-away heads that teach the towers to see and hear before there is a language model to ask
them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nano_omni.world.entities import TICKS, Script
from nano_omni.world.vocabulary import COLOURS, MOTIONS, PLACES, SHAPES, SOUNDS

TOKENS_PER_SECOND = 25
_PAIRS = ((COLOURS, SHAPES), (SHAPES, PLACES), (COLOURS, PLACES), (SHAPES, MOTIONS), (COLOURS, MOTIONS))
VIEW_FACTS = sum(len(left) * len(right) for left, right in _PAIRS)
SOUND_CLASSES = len(SOUNDS) + 1


def view_targets(script: Script) -> NDArray[np.uint8]:
    """What is on screen in each second, uint8 [seconds, VIEW_FACTS]: which pairs (colour and shape, shape and place,
    …)."""
    table = np.zeros((script.seconds, VIEW_FACTS), dtype=np.uint8)
    for scene in script.scenes:
        # A second is two frames, at its beginning and half a second later; a scene counts if it shows in the first.
        first = -(-scene.start // TICKS)
        last = min(script.seconds, -(-scene.end // TICKS))
        for thing in scene.things:
            colour, shape = thing.colour, thing.shape
            words = (
                (colour, shape), (shape, thing.place), (colour, thing.place), (shape, thing.motion),
                (colour, thing.motion),
            )  # fmt: skip
            offset = 0
            for (left, right), (a, b) in zip(_PAIRS, words, strict=True):
                table[first:last, offset + left.index(a) * len(right) + right.index(b)] = 1
                offset += len(left) * len(right)
    return table


def sound_targets(script: Script) -> NDArray[np.uint8]:
    """What sounds during each audio token, uint8 [25 * seconds]: 0 nothing, else 1 + index of the kind."""
    heard = np.zeros(TOKENS_PER_SECOND * script.seconds, dtype=np.uint8)
    for sound in script.sounds:
        first, last = (round(tick * TOKENS_PER_SECOND / TICKS) for tick in (sound.start, sound.end))
        heard[first : max(last, first + 1)] = 1 + SOUNDS.index(sound.kind)
    return heard
