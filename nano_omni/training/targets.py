"""Targets for the throw-away heads that teach the towers to see and hear before there is a language model to ask them.

Every token is asked about what itself covers, and those that cover nothing must say so: evidence stays where it is
seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nano_omni.world.entities import TICKS, Scene, Script
from nano_omni.world.vocabulary import COLOURS, MOTIONS, SHAPES, SOUNDS

TOKENS_PER_SECOND = 25
SIDE = 6
"""Video tokens in a row, and in a column, of the picture."""
VIEW_CLASSES = (1 + len(COLOURS), 1 + len(SHAPES), 1 + len(MOTIONS))
"""Colour, shape, motion of the object that a token covers; 0 for none."""
SOUND_CLASSES = len(SOUNDS) + 1
IN_DOUBT = 255
_BODY, _REACH = 0.42, 0.64
"""Half of an object's solid part, and of everything it may touch, in its diameters."""
_EDGES = np.arange(SIDE) / SIDE


def view_targets(script: Script) -> NDArray[np.uint8]:
    """What each video token covers, uint8 [seconds, 36, 3]: classes of `VIEW_CLASSES`, `IN_DOUBT` at an object's edge.

    An object belongs to the tokens that hold at least half as much of it as the one that holds most.
    """
    table = np.zeros((script.seconds, SIDE * SIDE, len(VIEW_CLASSES)), dtype=np.uint8)
    for scene in script.scenes:
        # A second is two frames, at its beginning and half a second later.
        first = -(-2 * scene.start // TICKS)
        last = min(2 * script.seconds, -(-2 * scene.end // TICKS))
        seen: NDArray[np.uint8] | None = None
        for frame in range(first, last):
            if seen is None or any(thing.motion != "still" for thing in scene.things):
                seen = _covered(scene, (frame * TICKS / 2 - scene.start) / TICKS)
            table[frame // 2] = seen if frame % 2 == 0 else _both(table[frame // 2], seen)
    return table


def _covered(scene: Scene, seconds: float) -> NDArray[np.uint8]:
    """What each token covers in one frame."""
    found = np.zeros((SIDE * SIDE, len(VIEW_CLASSES)), dtype=np.uint8)
    for thing in scene.things:
        classes = (COLOURS.index(thing.colour), SHAPES.index(thing.shape), MOTIONS.index(thing.motion))
        body, reach = (_overlap(thing.at(seconds), half * thing.size) for half in (_BODY, _REACH))
        own = body >= 0.5 * body.max(initial=1e-9)
        found[(reach > 0) & ~own & (found[:, 0] == 0)] = IN_DOUBT
        found[own] = np.array(classes, dtype=np.uint8) + 1
    return found


def _overlap(centre: tuple[float, float], half: float) -> NDArray[np.float64]:
    """Area that each token shares with a box of half-width `half`, [36]."""
    across, down = (
        (np.minimum(_EDGES + 1 / SIDE, middle + half) - np.maximum(_EDGES, middle - half)).clip(0) for middle in centre
    )
    return np.outer(down, across).ravel()


def _both(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What two frames of one second show together: an object that either shows, doubt where they contradict."""
    doubt = (one != other) & (one != 0) & (other != 0)
    return np.where(doubt, IN_DOUBT, np.maximum(one, other)).astype(np.uint8)


def sound_targets(script: Script) -> NDArray[np.uint8]:
    """What sounds during each audio token, uint8 [25 * seconds]: 0 nothing, else 1 + index of the kind."""
    heard = np.zeros(TOKENS_PER_SECOND * script.seconds, dtype=np.uint8)
    for sound in script.sounds:
        first, last = (round(tick * TOKENS_PER_SECOND / TICKS) for tick in (sound.start, sound.end))
        heard[first : max(last, first + 1)] = 1 + SOUNDS.index(sound.kind)
    return heard
