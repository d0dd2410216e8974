"""The needle split: a fixed camera before which very little shows, very briefly.

A needle is an object of one token, now and then of two side by side, that stands still for one window, sometimes for
one second or for three; a faint sound of 0.1 to 0.6 s. The background never changes, so whoever keeps what is new keeps
the needles; whoever keeps tokens at random mostly loses them. Distractors are other needles of the same colour or the
same shape: every name occurs once as long as there are names.
"""

from itertools import pairwise

from nano_omni.world.appearance import distance, draw_colour, shown
from nano_omni.world.draws import Draws
from nano_omni.world.entities import TICKS, Appearance, Background, Scene, Thing
from nano_omni.world.staging import CONTRAST, draw_background
from nano_omni.world.view import in_order
from nano_omni.world.vocabulary import COLOUR_ENDS, COLOURS, SHAPES, place_of

TOKENS = 6
"""Video tokens in a row, and in a column, of the picture."""
SIZES = (0.10, 0.137)
"""17 to 23 of 168 pixels; a token has 28."""
JITTER = 0.008
NEAR_MISS, ASTRIDE = 0.6, 0.25
"""Chance of a needle to share its colour or its shape with an earlier one; to lie across two tokens."""
LEAST_COLOURS = 5
COUNTS = {1: (0.15, 0.9, 1.0), 2: (0.25, 0.85, 1.0), 3: (0.6, 0.95, 1.0)}
"""Cumulative probabilities of 0, 1 and 2 needles, by the scene's length in seconds."""
_FIRST = (2, 2, 1, 3)
"""Seconds of the first of two scenes that last 4 s together."""
_TRIES = 12

Name = tuple[str, str]
"""Shape and colour."""


def edges(draws: Draws, windows: int) -> list[int]:
    """Draw the ticks where scenes begin, and the end; scenes are whole temporal patches, two for every two windows."""
    found = [0]
    for _ in range(windows // 2):
        found += [found[-1] + draws.choice(_FIRST) * TICKS, found[-1] + 4 * TICKS]
    return found if windows % 2 == 0 else [*found, found[-1] + 2 * TICKS]


def scenes(draws: Draws, look: Appearance, marks: list[int]) -> tuple[Scene, ...]:
    """Draw what is seen between these ticks."""
    background, colours = _haystack(draws, look)
    unused = draws.shuffled([(shape, colour) for shape in SHAPES for colour in colours])
    used: list[Name] = []
    made = []
    for start, end in pairwise(marks):
        count = draws.weighted((0, 1, 2), COUNTS[(end - start) // TICKS])
        things: tuple[Thing, ...] = ()
        for _ in range(count):
            if not unused:
                unused = [name for name in draws.shuffled(used) if name not in used[-4:]]
                used = used[-4:]
            name = _next_name(draws, unused, used)
            more = (*things, _needle(draws, name, {thing.place for thing in things}))
            if in_order(more, 0, 0) is not None:
                things = more
                unused.remove(name)
                used.append(name)
        made.append(Scene(start, end, things, background))
    return tuple(made)


def _haystack(draws: Draws, look: Appearance) -> tuple[Background, tuple[str, ...]]:
    """Draw the stream's background, and the colours that stand out from it."""
    for _ in range(_TRIES):
        background = draw_background(draws, look, ())
        behind = (background.first, background.second)
        colours = tuple(name for name in COLOURS if _stands_out(look, name, behind))
        if len(colours) >= LEAST_COLOURS:
            return background, colours
    grey = (0.5, 0.5, 0.5)
    plain = Background("plain", grey, grey, 0.0, 1.0, 0.0)
    return plain, tuple(name for name in COLOURS if _stands_out(look, name, (grey,)))


def _stands_out(look: Appearance, name: str, behind: tuple[tuple[float, float, float], ...]) -> bool:
    bright = look.exposure * (1 + look.drift)
    return all(
        distance(shown(end, look, bright), shown(back, look, bright)) >= CONTRAST
        for end in COLOUR_ENDS[name]
        for back in behind
    )


def _next_name(draws: Draws, unused: list[Name], used: list[Name]) -> Name:
    """Draw a name, mostly one that shares its shape or its colour with an earlier needle."""
    if used and draws.chance(NEAR_MISS):
        shape, colour = draws.choice(used)
        near = [name for name in unused if (name[0] == shape) != (name[1] == colour)]
        if near:
            return draws.choice(near)
    return draws.choice(unused)


def _needle(draws: Draws, name: Name, taken: set[str]) -> Thing:
    """Draw a needle in the middle of a token, or on the edge between two, in a place of the grid to itself."""
    for _ in range(_TRIES):
        column, row = draws.below(TOKENS), draws.below(TOKENS)
        x, y = (column + 0.5) / TOKENS, (row + 0.5) / TOKENS
        if draws.chance(ASTRIDE):
            # The edge must lie inside a place: those between tokens 0|1, 2|3 and 4|5 do.
            if draws.chance(0.5):
                x = (2 * (column // 2) + 1) / TOKENS
            else:
                y = (2 * (row // 2) + 1) / TOKENS
        if place_of(x, y) not in taken:
            break
    x, y = x + draws.uniform(-JITTER, JITTER), y + draws.uniform(-JITTER, JITTER)
    return Thing(
        shape=name[0],
        colour=name[1],
        place=place_of(x, y),
        motion="still",
        size=draws.uniform(*SIZES),
        x=x,
        y=y,
        speed_x=0.0,
        speed_y=0.0,
        rgb=draw_colour(draws, name[1]),
        angle=draws.uniform(-0.15, 0.15),
        stretch=1.0,
        tilt_x=0.0,
        tilt_y=0.0,
        shade=draws.uniform(0.0, 0.1),
    )
