"""Seed to script: when scenes change, what they show, what sounds. Pure Python, the same on every machine."""

from itertools import pairwise

from nano_omni.world import needle, story
from nano_omni.world.appearance import draw_appearance
from nano_omni.world.draws import Draws
from nano_omni.world.entities import SPLITS, TICKS, WINDOW_SECONDS, Scene, Script, Sound
from nano_omni.world.ranges import GAP, LEVELS, MARGIN, NEEDLE_TICKS, SOUND_RANGES
from nano_omni.world.staging import Names, draw_room, draw_things, dress
from nano_omni.world.vocabulary import SOUNDS


def make_script(seed: int, windows: int, split: str = "dense") -> Script:
    """Draw a stream of `windows` windows of 2 s.

    Splits: "dense" has objects of any size and clear sounds, and scenes of 2 to 6 s. "needle" has objects of one or two
    tokens among others like them before one background, mostly for one window, and short faint sounds (see `needle`).
    "long" repeats a few ordinary things in scenes of 6 to 14 s, with events that stand out (see `story`).

    Raises:
        ValueError: unknown split, negative seed, or not 1 to 512 windows.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: choose from {', '.join(SPLITS)}")
    if not 1 <= windows <= 512:
        raise ValueError(f"a stream has 1 to 512 windows, not {windows}")
    if split == "long":
        return story.whole(seed, windows)
    draws = Draws(seed, SPLITS.index(split))
    edges = needle.edges(draws, windows) if split == "needle" else _edges(draws, windows)
    sounds = _sounds(draws, edges, WINDOW_SECONDS * windows * TICKS, split)
    look = draw_appearance(draws, min((sound.level for sound in sounds), default=LEVELS[split][0]))
    if split == "needle":
        return Script(seed, windows, split, needle.scenes(draws, look, edges), sounds, look)
    room = draw_room(draws) if draws.chance(0.4) else None
    scenes: list[Scene] = []
    before: Names = frozenset()
    for start, end in pairwise(edges):
        things = draw_things(draws, split, end - start, before)
        before = frozenset((thing.shape, thing.colour) for thing in things)
        scenes.append(dress(draws, look, start, end, things, room))
    return Script(seed, windows, split, tuple(scenes), sounds, look)


def _edges(draws: Draws, windows: int) -> list[int]:
    """Draw the ticks where scenes begin, and the last one's end; half of the streams change with the windows only."""
    even = draws.chance(0.5)
    end, edges = WINDOW_SECONDS * windows * TICKS, [0]
    phase = 0 if even else draws.below(TICKS)
    while edges[-1] < end:
        seconds = 2 * draws.between(1, 3) if even else draws.between(2, 6)
        edges.append(edges[-1] + seconds * TICKS + (phase if len(edges) == 1 else 0))
    return edges


def _sounds(draws: Draws, edges: list[int], end: int, split: str) -> tuple[Sound, ...]:
    """Draw at most one sound for every 2 s of a scene, mostly well inside it, none past `end`."""
    sounds: list[Sound] = []
    chance = 0.62 if split == "dense" else 0.4
    for start, stop in pairwise(edges):
        slots = max(1, (stop - start) // (4 * TICKS) + 1) if stop - start >= 4 * TICKS else 1
        each = (stop - start) // slots
        for slot in range(slots):
            if not draws.chance(chance):
                continue
            kind = draws.choice(SOUNDS)
            allowed = SOUND_RANGES[kind]
            shortest, longest = (allowed.shortest, allowed.longest) if split == "dense" else NEEDLE_TICKS[kind]
            duration = draws.between(shortest, longest)
            low, room = start + slot * each + MARGIN, each - 2 * MARGIN - duration
            if draws.chance(0.1):
                low, room = low + each - 2 * MARGIN - duration // 2, 1
            if room <= 0:
                continue
            at = low + draws.below(room)
            if at + duration > end or (sounds and at < sounds[-1].end + GAP):
                continue
            pitch = draws.uniform(allowed.lowest, allowed.highest)
            sounds.append(Sound(kind, at, duration, pitch, draws.uniform(*LEVELS[split]), draws.unit()))
    return tuple(sounds)
