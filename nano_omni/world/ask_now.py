"""Questions about what is visible now."""

from nano_omni.world.draws import Draws
from nano_omni.world.entities import TICKS, Thing
from nano_omni.world.truth import Asked, shown_in, there_is_no
from nano_omni.world.view import MOVED, View
from nano_omni.world.vocabulary import COLOURS, LARGE_FROM, NUMBERS, SHAPES, SMALL_UP_TO


def list_now(view: View, draws: Draws) -> Asked | None:
    """Ask what is visible."""
    if view.now is None:
        return None
    shown = shown_in(view, view.now)
    return None if shown is None else Asked("now.list", f"{shown}.", {})


def colour_now(view: View, draws: Draws) -> Asked | None:
    """Ask for the colour of the only object, or of the only one of its shape."""
    things = _things(view)
    if len(things) == 1 and draws.chance(0.4):
        return Asked("now.colour.lone", f"{things[0].colour}.", {})
    thing = _only(things, "shape", draws)
    return None if thing is None else Asked("now.colour", f"{thing.colour}.", {"shape": thing.shape})


def shape_now(view: View, draws: Draws) -> Asked | None:
    """Ask for the shape of the only object, or of the only one of its colour."""
    things = _things(view)
    if len(things) == 1 and draws.chance(0.4):
        return Asked("now.shape.lone", f"a {things[0].shape}.", {})
    thing = _only(things, "colour", draws)
    return None if thing is None else Asked("now.shape", f"a {thing.shape}.", {"colour": thing.colour})


def place_now(view: View, draws: Draws) -> Asked | None:
    """Ask where an object is that does not move."""
    thing = _pick([thing for thing in _things(view) if thing.motion == "still"], draws)
    if thing is None:
        return None
    return Asked("now.place", f"{thing.place}.", {"thing": _mention(thing, _things(view), draws)})


def count_now(view: View, draws: Draws) -> Asked | None:
    """Ask how many objects there are, of all, one shape or one colour."""
    if view.now is None:
        return None
    things, style = view.now.things, draws.unit()
    if style < 0.5:
        return Asked("now.count", f"{NUMBERS[len(things)]}.", {})
    near = _pick(things, draws) if draws.chance(0.75) else None
    if style < 0.75:
        shape = near.shape if near else draws.choice(SHAPES)
        return Asked("now.count.shape", f"{NUMBERS[sum(t.shape == shape for t in things)]}.", {"shape": shape})
    colour = near.colour if near else draws.choice(COLOURS)
    return Asked("now.count.colour", f"{NUMBERS[sum(t.colour == colour for t in things)]}.", {"colour": colour})


def motion_now(view: View, draws: Draws) -> Asked | None:
    """Ask which way an object moves, once it has been seen for 1.5 s; standing still is asked about less often."""
    if view.now is None or min(view.now.end, view.cut * TICKS) - view.now.start < MOVED:
        return None
    thing = _only(view.now.things, "shape", draws)
    if thing is None or (thing.motion == "still" and draws.chance(0.7)):
        return None
    answer = "it is not moving." if thing.motion == "still" else f"{thing.motion}."
    return Asked("now.motion", answer, {"shape": thing.shape})


def size_now(view: View, draws: Draws) -> Asked | None:
    """Ask for the size of an object that is clearly small or large, where a stream has both."""
    if view.script.split == "needle":
        return None
    thing = _only(_things(view), "shape", draws)
    if thing is None or SMALL_UP_TO < thing.size < LARGE_FROM:
        return None
    return Asked("now.size", "small." if thing.size <= SMALL_UP_TO else "large.", {"shape": thing.shape})


def exists_now(view: View, draws: Draws) -> Asked | None:
    """Ask whether an object is there: half are; of the rest, most share a shape or a colour with one that is or was."""
    if view.now is None:
        return None
    present = {thing.name for thing in view.now.things}
    if present and draws.chance(0.5):
        return Asked("now.exists", "yes.", {"thing": draws.choice(sorted(present))})
    name = near_miss(view.now.things, draws)
    past = sorted(key for key in view.names if " " in key)
    if past and draws.chance(0.3):
        name = draws.choice(past)
    if name in present:
        return None
    return Asked("now.exists", "no.", {"thing": name})


def absent_now(view: View, draws: Draws) -> Asked | None:
    """Ask for a property of an object that is not there."""
    if view.now is None:
        return None
    things = view.now.things
    if not things and draws.chance(0.4):
        return Asked(draws.choice(("now.colour.lone", "now.shape.lone")), "there is nothing.", {})
    phrase = draws.choice(("now.colour", "now.shape", "now.place", "now.motion", "now.size"))
    if phrase == "now.place":
        name = near_miss(things, draws)
        taken = {thing.name for thing in things}
        return None if name in taken else Asked(phrase, there_is_no(name), {"thing": name})
    if phrase == "now.shape":
        colour = draws.choice(COLOURS)
        taken = {thing.colour for thing in things}
        return None if colour in taken else Asked(phrase, there_is_no(f"{colour} object"), {"colour": colour})
    shape = draws.choice(SHAPES)
    return None if shape in {thing.shape for thing in things} else Asked(phrase, there_is_no(shape), {"shape": shape})


def near_miss(things: tuple[Thing, ...], draws: Draws) -> str:
    """Draw the name of an object, mostly one that shares its shape or its colour with one of these."""
    colour, shape, near = draws.choice(COLOURS), draws.choice(SHAPES), _pick(things, draws)
    if near is not None and draws.chance(0.75):
        colour, shape = (near.colour, shape) if draws.chance(0.5) else (colour, near.shape)
    return f"{colour} {shape}"


def _things(view: View) -> tuple[Thing, ...]:
    return view.now.things if view.now is not None else ()


def _pick(things: tuple[Thing, ...] | list[Thing], draws: Draws) -> Thing | None:
    return draws.choice(things) if things else None


def _only(things: tuple[Thing, ...], kind: str, draws: Draws) -> Thing | None:
    """Draw one of the objects whose shape (or colour) no other has."""
    values = [getattr(thing, kind) for thing in things]
    return _pick([thing for thing, value in zip(things, values, strict=True) if values.count(value) == 1], draws)


def _mention(thing: Thing, things: tuple[Thing, ...], draws: Draws) -> str:
    """Name an object in full, or by its shape alone where that is enough."""
    alone = sum(other.shape == thing.shape for other in things) == 1
    return thing.shape if alone and draws.chance(0.4) else thing.name
