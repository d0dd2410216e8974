"""What someone who saw and heard the first seconds of a stream knows for certain."""

from collections import Counter
from itertools import pairwise

from nano_omni.world.entities import TICKS, Scene, Script, Sound, Thing

SETTLED = TICKS
"""Ticks a scene must have been visible before anything about it is asked."""
MOVED = TICKS * 3 // 2
"""Ticks a scene must have been visible before its motion is asked about."""
SAME_COLUMN, OTHER_COLUMN, OTHER_ROW = 0.10, 0.16, 0.15
"""Objects closer in x than the first stand in one column, in order if the last apart in y; objects farther apart in x
than the second stand side by side; between the two their order is in doubt."""


class View:
    """The truth of [0, cut) of a script, with what is still in doubt kept apart.

    A scene counts once it has been visible for 1 s, a sound once it is over. `doubtful` is the scene that has begun too
    recently, `sounding` the sound that has begun and not ended.
    """

    __slots__ = ("cut", "doubtful", "heard", "kinds", "names", "now", "scenes", "script", "sounding", "where")

    def __init__(self, script: Script, cut: int) -> None:
        end = cut * TICKS
        begun = [scene for scene in script.scenes if scene.start < end]
        settled = min(begun[-1].end, end) - begun[-1].start >= SETTLED
        self.script, self.cut = script, cut
        self.scenes: list[Scene] = begun if settled else begun[:-1]
        self.doubtful: Scene | None = None if settled else begun[-1]
        self.now: Scene | None = begun[-1] if settled else None
        self.heard: list[Sound] = [sound for sound in script.sounds if sound.end <= end]
        self.sounding: Sound | None = next((sound for sound in script.sounds if sound.start < end < sound.end), None)
        self.names: Counter[str] = Counter()
        """How many scenes begun so far show each thing: by name, by shape and by colour."""
        self.where: dict[str, int] = {}
        """The last scene of each."""
        for at, scene in enumerate(begun):
            keys = {key for thing in scene.things for key in (thing.name, thing.shape, thing.colour)}
            self.names.update(keys)
            self.where.update(dict.fromkeys(keys, at))
        self.kinds: Counter[str] = Counter(sound.kind for sound in self.heard)

    def past(self) -> list[Scene]:
        """Return the settled scenes that are over."""
        return self.scenes[:-1] if self.now is not None else self.scenes

    def seen_of(self, scene: Scene) -> tuple[float, float]:
        """Return from when to when a scene was seen, in seconds since it began."""
        return 0.0, (min(scene.end, self.cut * TICKS) - scene.start) / TICKS

    def ordered(self, scene: Scene) -> list[Thing] | None:
        """Return a scene's objects from left to right, those of one column from top to bottom.

        None where the order is in doubt or changed while the scene was seen.
        """
        return in_order(scene.things, *self.seen_of(scene))

    def during(self, sound: Sound) -> Scene | None:
        """Return the settled scene that a sound fell into whole; None where it touched two, or one still in doubt."""
        return next((scene for scene in self.scenes if scene.start <= sound.start and sound.end <= scene.end), None)


def in_order(things: tuple[Thing, ...], start: float, end: float) -> list[Thing] | None:
    """Return objects from left to right, those of one column from top to bottom, as seen between two times in seconds.

    None where the order is in doubt or changed in between.
    """
    if len(things) < 2:
        return list(things)
    orders = [_order(things, seconds) for seconds in (start, end)]
    return orders[0] if orders[0] == orders[1] else None


def _order(things: tuple[Thing, ...], seconds: float) -> list[Thing] | None:
    """Return objects from left to right at one moment, or None where in doubt."""
    placed = sorted(((*thing.at(seconds), at) for at, thing in enumerate(things)), key=lambda item: item[0])
    columns = [[placed[0]]]
    for one, other in pairwise(placed):
        apart = other[0] - one[0]
        if apart < SAME_COLUMN:
            columns[-1].append(other)
        elif apart > OTHER_COLUMN:
            columns.append([other])
        else:
            return None
    order: list[Thing] = []
    for column in columns:
        column.sort(key=lambda item: item[1])
        close = any(below[1] - above[1] < OTHER_ROW for above, below in pairwise(column))
        if close or max(item[0] for item in column) - min(item[0] for item in column) > SAME_COLUMN:
            return None
        order.extend(things[item[2]] for item in column)
    return order
