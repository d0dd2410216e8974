"""Questions about what was visible before, and about the stream as a whole."""

from nano_omni.world.ask_now import near_miss
from nano_omni.world.draws import Draws
from nano_omni.world.entities import Scene, Thing
from nano_omni.world.truth import NOTHING, Asked, in_turn, shown_in, there_was_no
from nano_omni.world.view import View
from nano_omni.world.vocabulary import COLOURS, SHAPES

DESCRIBED = 3
"""Scenes, and sounds at most, that a description names: it stays within about 55 tokens."""


def first(view: View, draws: Draws) -> Asked | None:
    """Ask what was seen first: everything, or shape or colour where it was one object alone."""
    scene = next((scene for scene in view.scenes if scene.things), None)
    if scene is None:
        return None
    if len(scene.things) == 1 and draws.chance(0.65):
        thing = scene.things[0]
        if draws.chance(0.6):
            return Asked("past.first.shape", f"a {thing.shape}.", {}, (scene,))
        return Asked("past.first.colour", f"{thing.colour}.", {}, (scene,))
    shown = shown_in(view, scene)
    return None if shown is None else Asked("past.first", f"{shown}.", {}, (scene,))


def before(view: View, draws: Draws) -> Asked | None:
    """Ask for the scene before the only one that showed an object; of the first scene less often."""
    return _neighbour(view, draws, -1, "past.before")


def after(view: View, draws: Draws) -> Asked | None:
    """Ask for the scene after the only one that showed an object."""
    return _neighbour(view, draws, 1, "past.after")


def _neighbour(view: View, draws: Draws, step: int, phrase: str) -> Asked | None:
    found = _once(view, draws, "name", view.scenes)
    if found is None:
        return None
    at, thing = found
    here = view.scenes[at]
    needle = view.script.split == "needle"
    if step < 0 and at == 0:
        worth = not needle and draws.chance(0.15)
        return Asked(phrase, f"{NOTHING}.", {"thing": thing.name}, (here,)) if worth else None
    if not 0 <= at + step < len(view.scenes):
        return None
    other = view.scenes[at + step]
    if needle and not other.things:
        return None  # between needles there is mostly nothing: not worth asking
    shown = shown_in(view, other)
    return None if shown is None else Asked(phrase, f"{shown}.", {"thing": thing.name}, (here, other))


def colour_past(view: View, draws: Draws) -> Asked | None:
    """Ask for the colour of the only object of a shape so far, or of the last one of it."""
    found = _once(view, draws, "shape", view.past())
    if found is not None and draws.chance(0.7):
        at, thing = found
        return Asked("past.colour", f"{thing.colour}.", {"shape": thing.shape}, (view.scenes[at],))
    last = _last(view, draws, "shape")
    if last is None:
        return None
    scene, thing = last
    return Asked("past.colour.last", f"{thing.colour}.", {"shape": thing.shape}, (scene,))


def shape_past(view: View, draws: Draws) -> Asked | None:
    """Ask for the shape of the only object of a colour so far, or of the last one of it."""
    found = _once(view, draws, "colour", view.past())
    if found is not None and draws.chance(0.7):
        at, thing = found
        return Asked("past.shape", f"a {thing.shape}.", {"colour": thing.colour}, (view.scenes[at],))
    last = _last(view, draws, "colour")
    if last is None:
        return None
    scene, thing = last
    return Asked("past.shape.last", f"a {thing.shape}.", {"colour": thing.colour}, (scene,))


def place_past(view: View, draws: Draws) -> Asked | None:
    """Ask where an object was that appeared once and did not move."""
    found = _once(view, draws, "name", view.past())
    if found is None or found[1].motion != "still":
        return None
    at, thing = found
    return Asked("past.place", f"{thing.place}.", {"thing": thing.name}, (view.scenes[at],))


def exists_past(view: View, draws: Draws) -> Asked | None:
    """Ask whether an object was ever seen: half were; many of the rest share a shape or a colour with one that was."""
    if draws.chance(0.5):
        scenes = [scene for scene in view.scenes if scene.things]
        if not scenes:
            return None
        scene = draws.choice(scenes)
        return Asked("past.exists", "yes.", {"thing": draws.choice(scene.things).name}, (scene,))
    name = _never(view, draws)
    return None if name is None else Asked("past.exists", "no.", {"thing": name})


def absent_past(view: View, draws: Draws) -> Asked | None:
    """Ask for a property of an object that was never seen."""
    phrase = draws.choice(("past.before", "past.after", "past.place", "past.colour", "past.shape"))
    if phrase == "past.colour":
        shape = draws.choice(SHAPES)
        return None if view.names[shape] else Asked(phrase, there_was_no(shape), {"shape": shape})
    if phrase == "past.shape":
        colour = draws.choice(COLOURS)
        return None if view.names[colour] else Asked(phrase, there_was_no(f"{colour} object"), {"colour": colour})
    name = _never(view, draws)
    return None if name is None else Asked(phrase, there_was_no(name), {"thing": name})


def describe(view: View, draws: Draws) -> Asked | None:
    """Ask for a description: the last three scenes and the sounds heard during them."""
    if view.now is None or view.sounding is not None:
        return None
    scenes = view.scenes[-DESCRIBED:]
    shown = [shown_in(view, scene) for scene in scenes]
    begin = scenes[0].start
    sounds = [sound for sound in view.heard if sound.end > begin]
    if None in shown or len(sounds) > DESCRIBED or any(sound.start < begin for sound in sounds):
        return None
    seen = ", then ".join(name for name in shown if name is not None)
    heard = in_turn(sounds) if sounds else NOTHING
    lead = "I saw" if len(scenes) == len(view.scenes) else "lately I saw"
    return Asked("describe", f"{lead} {seen}. I heard {heard}.", {})


def _never(view: View, draws: Draws) -> str | None:
    """Draw the name of an object that no scene has shown yet."""
    scene = draws.choice(view.scenes) if view.scenes else None
    name = near_miss(scene.things if scene is not None else (), draws)
    return None if view.names[name] else name


def _once(view: View, draws: Draws, kind: str, scenes: list[Scene]) -> tuple[int, Thing] | None:
    """Draw one of the objects in these scenes whose name (shape, colour) is unique so far, and which scene it is in."""
    known = view.names
    found = []
    for at, scene in enumerate(scenes):
        values = [getattr(thing, kind) for thing in scene.things]
        found += [
            (at, thing)
            for thing, value in zip(scene.things, values, strict=True)
            if known[value] == 1 and values.count(value) == 1
        ]
    return draws.choice(found) if found else None


def _last(view: View, draws: Draws, kind: str) -> tuple[Scene, Thing] | None:
    """Draw a scene and its object that was the last of its shape (colour), alone in that in its scene, and is gone."""
    past = view.past()
    found = []
    for at, scene in enumerate(past):
        values = [getattr(thing, kind) for thing in scene.things]
        found += [
            (scene, thing)
            for thing, value in zip(scene.things, values, strict=True)
            if view.where[value] == at and values.count(value) == 1
        ]
    return draws.choice(found) if found else None
