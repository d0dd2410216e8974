"""Where the objects of a scene stand and move, and what is behind and before them.

Objects have cells of a 3 x 3 grid to themselves (a moving one has its whole row or column), so none ever hides another
or leaves the frame, and a human can say its place, size and motion without doubt.
"""

from collections.abc import Sequence
from math import pi, sqrt

from nano_omni.world.appearance import HAIRS, SKINS, distance, draw_colour, draw_surround, shown
from nano_omni.world.draws import Draws
from nano_omni.world.entities import MOST_PROPS, TICKS, Appearance, Background, Hand, Prop, Scene, Sheet, Thing
from nano_omni.world.vocabulary import BACKGROUNDS, COLOURS, PLACES, SHAPES, Rgb

CENTRES = (0.19, 0.5, 0.81)
COUNTS = {"dense": (0.10, 0.50, 0.78, 1.0), "long": (0.08, 0.62, 0.95, 1.0)}
"""Cumulative probabilities of 0, 1, 2 and 3 objects."""
SIZES = ((0.11, 0.165), (0.18, 0.24), (0.255, 0.28))
LONE_SIZES = (0.3, 0.58)
MOST_TILT = 0.12
MOST_STRETCH = 1.06
LONGEST_MOTION = 8
"""Seconds: in a longer scene whatever moves slowly enough to stay in the frame is hardly seen to move."""
CONTRAST = 0.4
"""Least distance between the colours of an object and whatever is right behind it, as the camera shows them."""

Names = frozenset[tuple[str, str]]


def draw_things(
    draws: Draws, split: str, ticks: int, avoid: Names, names: Sequence[tuple[str, str]] = ()
) -> tuple[Thing, ...]:
    """Draw a scene's objects: no two alike, none of those to `avoid` (the scene before), `ticks` long.

    With `names` (shape and colour), only such objects are drawn.
    """
    count = draws.weighted((0, 1, 2, 3), COUNTS[split])
    free, used, things = set(range(9)), set(avoid), []
    for _ in range(count):
        name = draws.choice(names) if names else (draws.choice(SHAPES), draws.choice(COLOURS))
        if name in used:
            continue
        used.add(name)
        thing = place_thing(draws, name, ticks, free, alone=count == 1)
        if thing is not None:
            things.append(thing)
    return tuple(things)


def place_thing(draws: Draws, name: tuple[str, str], ticks: int, free: set[int], *, alone: bool) -> Thing | None:
    """Give an object a free cell, or a free lane to move along, and take it from `free`; None where none is left."""
    seconds, motion, cell = ticks / TICKS, "still", -1
    lanes = [(way, lane) for way in (0, 1) for lane in range(3) if _lane(way, lane) <= free]
    if lanes and seconds <= LONGEST_MOTION and draws.chance(0.38):
        way, lane = draws.choice(lanes)
        cells = _lane(way, lane)
        back = draws.chance(0.5)
        motion = (("right", "left"), ("down", "up"))[way][back]
        cell = max(cells) if back else min(cells)
        free -= cells
    else:
        if not free:
            return None
        cell = 4 if alone and draws.chance(0.3) else draws.choice(sorted(free))
        free.discard(cell)
    lone = alone and cell == 4 and motion == "still" and draws.chance(0.7)
    size = draws.uniform(*(LONE_SIZES if lone else draws.choice(SIZES)))
    x, y = (CENTRES[at] + draws.uniform(-0.02, 0.02) for at in (cell % 3, cell // 3))
    speed = draws.uniform(max(0.34, 0.07 * seconds), 0.6) / seconds * (-1 if motion in ("left", "up") else 1)
    return Thing(
        shape=name[0],
        colour=name[1],
        place=PLACES[cell],
        motion=motion,
        size=size,
        x=x,
        y=y,
        speed_x=speed if motion in ("left", "right") else 0.0,
        speed_y=speed if motion in ("up", "down") else 0.0,
        rgb=draw_colour(draws, name[1]),
        angle=draws.uniform(-0.18, 0.18),
        stretch=draws.uniform(1 / MOST_STRETCH, MOST_STRETCH),
        tilt_x=draws.uniform(-MOST_TILT, MOST_TILT),
        tilt_y=draws.uniform(-MOST_TILT, MOST_TILT),
        shade=draws.uniform(0.0, 0.18),
    )


def _lane(way: int, lane: int) -> set[int]:
    """Return the cells of a row (way 0) or a column (way 1)."""
    return {3 * lane, 3 * lane + 1, 3 * lane + 2} if way == 0 else {lane, lane + 3, lane + 6}


def dress(
    draws: Draws, look: Appearance, start: int, end: int, things: tuple[Thing, ...], room: Background | None
) -> Scene:
    """Put a background behind the objects that they stand out from; in a room, that may take a sheet of paper."""
    if room is None:
        background = draw_background(draws, look, things)
        hand = _hand(draws, things, end - start, None) if draws.chance(0.12) else None
        return Scene(start, end, things, background, None, hand)
    sheet = None
    if things and (draws.chance(0.5) or not _stands_out(look, things, _colours(room))):
        sheet = _sheet(draws, look, things, end - start)
    hand = _hand(draws, things, end - start, sheet) if draws.chance(0.6) else None
    return Scene(start, end, things, room, sheet, hand)


def draw_room(draws: Draws) -> Background:
    """Draw the room a webcam looks into for a whole stream: wall, floor or desk, furniture, and often someone in it."""
    props = []
    for _ in range(draws.between(2, MOST_PROPS - 3)):
        grey, width, height = draws.uniform(0.1, 0.85), draws.uniform(0.06, 0.25), draws.uniform(0.08, 0.35)
        warm = draws.uniform(-0.08, 0.12)
        rgb = (min(1.0, grey + warm), grey, max(0.0, grey - warm))
        edge = draws.choice((draws.uniform(-0.05, 0.2), draws.uniform(0.8, 1.05)))
        along = draws.unit()
        x, y = (edge, along) if draws.chance(0.6) else (along, edge)
        props.append(Prop(x, y, width, height, rgb))
    if draws.chance(0.55):
        props += _someone(draws)
    return Background(
        "room",
        draw_surround(draws),
        draw_surround(draws),
        0.0,
        draws.uniform(4, 14),
        draws.uniform(0.55, 0.9),
        tuple(props),
    )


def _someone(draws: Draws) -> list[Prop]:
    """Draw the head and shoulders of whoever sits before the camera."""
    x, y, head = draws.uniform(0.25, 0.75), draws.uniform(0.2, 0.55), draws.uniform(0.09, 0.19)
    skin, hair = draws.choice(SKINS), draws.choice(HAIRS)
    shirt = draw_surround(draws) if draws.chance(0.7) else draw_colour(draws, draws.choice(COLOURS))
    wide = head * draws.uniform(1.5, 2.3)
    return [
        Prop(x, y + 1.3 * head + 0.5, wide, 0.5, shirt),
        Prop(x, y - 0.35 * head, head * draws.uniform(0.85, 1.15), head, hair, is_round=True),
        Prop(x, y, 0.8 * head, head * draws.uniform(1.0, 1.2), skin, is_round=True),
    ]


def draw_background(draws: Draws, look: Appearance, things: tuple[Thing, ...]) -> Background:
    """Draw a background that all objects stand out from; plain grey where luck fails."""
    for _ in range(12):
        kind = draws.choice(BACKGROUNDS[:-1])
        first = draw_surround(draws)
        if kind == "gradient":
            second = draw_surround(draws)
        else:
            red, green, blue = (min(1.0, max(0.0, value + draws.uniform(-0.16, 0.16))) for value in first)
            second = (red, green, blue)
        if _stands_out(look, things, [first, second]):
            scale = draws.uniform(2.0, 9.0) if kind != "noisy" else draws.uniform(4.0, 24.0)
            return Background(kind, first, second, draws.uniform(0, pi), scale, draws.unit())
    greys: list[Rgb] = [(value, value, value) for value in (0.1, 0.3, 0.5, 0.7, 0.95)]
    best = max(greys, key=lambda grey: _contrast(look, things, grey))
    return Background("plain", best, best, 0.0, 1.0, 0.0)


def _colours(background: Background) -> list[Rgb]:
    return [background.first, background.second, *(prop.rgb for prop in background.props)]


def _contrast(look: Appearance, things: tuple[Thing, ...], behind: Rgb) -> float:
    """Return the least distance of the objects to one colour behind them, in the stream's brightest moment."""
    brightest = look.exposure * (1 + look.drift)
    back = shown(behind, look, brightest)
    return min((distance(shown(thing.rgb, look, brightest), back) for thing in things), default=2.0)


def _stands_out(look: Appearance, things: tuple[Thing, ...], behind: list[Rgb]) -> bool:
    return all(_contrast(look, things, colour) >= CONTRAST for colour in behind)


def _sheet(draws: Draws, look: Appearance, things: tuple[Thing, ...], ticks: int) -> Sheet:
    """Draw the paper or screen around everywhere the objects go."""
    left, top, right, bottom = 1.0, 1.0, 0.0, 0.0
    for thing in things:
        reach = 0.58 * thing.size + draws.uniform(0.04, 0.07)
        for x, y in (thing.at(0), thing.at(ticks / TICKS)):
            left, right = min(left, x - reach), max(right, x + reach)
            top, bottom = min(top, y - reach), max(bottom, y + reach)
    papers: list[Rgb] = [(0.97, 0.97, 0.95), (0.05, 0.05, 0.06), (0.82, 0.80, 0.74), (0.45, 0.45, 0.47)]
    good = [paper for paper in papers[:3] if _stands_out(look, things, [paper])]
    rgb = draws.choice(good) if good else max(papers, key=lambda paper: _contrast(look, things, paper))
    angle = draws.uniform(-0.1, 0.1) if len(things) == 1 else 0.0
    return Sheet((left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2, angle, rgb)


def _hand(draws: Draws, things: tuple[Thing, ...], ticks: int, sheet: Sheet | None) -> Hand | None:
    """Draw an arm that holds the sheet or reaches in beside the objects; None where it would cover one."""
    places = [thing.at(seconds) for thing in things for seconds in (0.0, ticks / TICKS / 2, ticks / TICKS)]
    reaches = [0.58 * thing.size for thing in things for _ in range(3)]
    for _ in range(4):
        radius, from_x = draws.uniform(0.045, 0.085), draws.uniform(0.1, 0.9)
        side = draws.chance(0.35)
        start = (draws.choice((-0.1, 1.1)), draws.uniform(0.4, 1.0)) if side else (from_x, 1.1)
        if sheet is not None:
            tip = (sheet.x + draws.uniform(-0.5, 0.5) * sheet.half_width, sheet.y + sheet.half_height)
        else:
            tip = (start[0] + draws.uniform(-0.2, 0.2), start[1] - draws.uniform(0.1, 0.6))
        clear = all(
            _to_segment(place, start, tip) >= 1.7 * radius + reach for place, reach in zip(places, reaches, strict=True)
        )
        if clear:
            return Hand(*start, *tip, radius, draws.choice((-1, 1)) * draws.uniform(0.4, 1.0), draws.choice(SKINS))
    return None


def _to_segment(point: tuple[float, float], one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return the distance of a point to the segment between two others."""
    along_x, along_y = other[0] - one[0], other[1] - one[1]
    length = along_x * along_x + along_y * along_y
    share = ((point[0] - one[0]) * along_x + (point[1] - one[1]) * along_y) / length if length else 0.0
    share = min(1.0, max(0.0, share))
    right, below = point[0] - one[0] - share * along_x, point[1] - one[1] - share * along_y
    return sqrt(right * right + below * below)
