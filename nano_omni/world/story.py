"""Hours of stream in blocks of a minute, each drawn on its own: nothing grows with the stream's length.

Scenes last 6 to 14 s and show ordinary things from a small stock, again and again. *Events* stand out by construction:
each shows a thing whose name (or whose shape, or colour), or sounds a sound, that occurs nowhere else in the stream, so
that a question about it has one right answer however much else there was.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from nano_omni.world.appearance import draw_appearance
from nano_omni.world.draws import Draws
from nano_omni.world.entities import TICKS, WINDOW_SECONDS, Scene, Script, Sound, Thing
from nano_omni.world.ranges import LEVELS, MARGIN, SOUND_RANGES
from nano_omni.world.staging import Names, draw_room, draw_things, dress, place_thing
from nano_omni.world.view import in_order
from nano_omni.world.vocabulary import COLOURS, SHAPES, SOUNDS

SPLIT = "long"
BLOCK_WINDOWS = 30
"""A minute. The first and the last block of a stream are half a minute: block m lies around the end of minute m."""
EVENTS_A_BLOCK = 2
MOST_NAMED = 20
"""Names kept for events; the other 15 of the 35 that need no rare shape or colour are the ordinary things."""
RARE_SOUNDS = 2
KINDS = ("place", "sound", "before", "after", "colour", "shape", "screen")
"""What is asked about an event. Only one of a stream can be told by its colour alone, and one by its shape alone."""
_SALT, _TRIES = 60_601, 20

Name = tuple[str, str]
"""Shape and colour."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something to be asked about."""

    kind: str
    """Of `KINDS`."""
    block: int
    name: Name
    sound: str = ""
    """Kind of the one sound during its scene; none where empty."""


@dataclass(frozen=True, slots=True)
class Words:
    """Which names and sounds a stream uses for what."""

    named: tuple[Name, ...]
    ordinary: tuple[Name, ...]
    rare_shape: str
    rare_colour: str
    rare_sounds: tuple[str, ...]
    sounds: tuple[str, ...]

    @classmethod
    def of(cls, seed: int) -> "Words":
        """Draw a stream's stock."""
        draws = Draws(seed, _SALT, 1)
        shapes, colours = draws.shuffled(SHAPES), draws.shuffled(COLOURS)
        names = draws.shuffled([(shape, colour) for shape in shapes[1:] for colour in colours[1:]])
        kinds = draws.shuffled(SOUNDS)
        return cls(
            tuple(names[:MOST_NAMED]), tuple(names[MOST_NAMED:]), shapes[0], colours[0],
            tuple(kinds[:RARE_SOUNDS]), tuple(kinds[RARE_SOUNDS:]),
        )  # fmt: skip


class Story:
    """What happens in a long stream.

    Args:
        seed: of the stream.
        windows: its length, in windows of 2 s.
        events: what to weave in; at most `EVENTS_A_BLOCK` a block, one in the first, none where a block is too short.
    """

    def __init__(self, seed: int, windows: int, events: Sequence[Event] = ()) -> None:
        self.seed, self.windows, self.words = seed, windows, Words.of(seed)
        draws = Draws(seed, _SALT, 2)
        self.look = draw_appearance(draws, LEVELS[SPLIT][0])
        self.room = draw_room(draws) if draws.chance(0.4) else None
        self._events = tuple(events)

    @property
    def blocks(self) -> int:
        """How many blocks the stream has."""
        return (self.windows + BLOCK_WINDOWS // 2 - 1) // BLOCK_WINDOWS + 1

    def start(self, block: int) -> int:
        """First window of a block."""
        return max(0, BLOCK_WINDOWS * block - BLOCK_WINDOWS // 2)

    def block(self, number: int) -> tuple[Script, dict[int, Event]]:
        """Draw a block: a script of its own, its times counted from the block's start; and the scenes of its events.

        Raises:
            ValueError: no such block, or too many events for it.
        """
        if not 0 <= number < self.blocks:
            raise ValueError(f"the stream has blocks 0 to {self.blocks - 1}, not {number}")
        first, past = self.start(number), min(self.windows, self.start(number + 1))
        draws = Draws(self.seed, _SALT, 3, number)
        edges = _edges(draws, past - first)
        here = _spread(draws, [event for event in self._events if event.block == number], len(edges) - 1)
        scenes: list[Scene] = []
        before: Names = frozenset()
        for at, (start, end) in enumerate(pairwise(edges)):
            stock = self._stock(at, len(edges) - 2)
            things = self._things(draws, here.get(at), end - start, before, stock)
            before = frozenset((thing.shape, thing.colour) for thing in things)
            scenes.append(dress(draws, self.look, start, end, things, self.room))
        sounds = [sound for at, scene in enumerate(scenes) for sound in self._sounds(draws, scene, here.get(at))]
        seed = (self.seed * 4_099 + number) & 0x7FFFFFFF
        return Script(seed, past - first, SPLIT, tuple(scenes), tuple(sounds), self.look), here

    def _stock(self, scene: int, last: int) -> Sequence[Name]:
        """Return the ordinary things of a scene; a block's last and the next one's first share none, so that every
        change shows."""
        names = self.words.ordinary
        half = len(names) // 2
        return names[:half] if scene == 0 else names[half:] if scene == last else names

    def _things(
        self, draws: Draws, event: Event | None, ticks: int, before: Names, stock: Sequence[Name]
    ) -> tuple[Thing, ...]:
        """Draw a scene's objects, in an order that nobody could doubt."""
        for _ in range(_TRIES):
            if event is None:
                things = draw_things(draws, SPLIT, ticks, before, stock)
            else:
                things = self._around(draws, event, ticks, before)
            moves = event is not None and event.kind == "place" and things[0].motion != "still"
            if not moves and in_order(things, 0, ticks / TICKS) is not None:
                return things
        return things[:1]

    def _around(self, draws: Draws, event: Event, ticks: int, before: Names) -> tuple[Thing, ...]:
        """Draw an event's thing, sometimes with an ordinary one beside it."""
        free = set(range(9))
        more = draws.choice(self.words.ordinary) if draws.chance(0.4) else None
        alone = more is None or more in before
        thing = place_thing(draws, event.name, ticks, free, alone=alone)
        assert thing is not None, "the frame was empty"
        other = None if alone or more is None else place_thing(draws, more, ticks, free, alone=False)
        return (thing,) if other is None else (thing, other)

    def _sounds(self, draws: Draws, scene: Scene, event: Event | None) -> list[Sound]:
        """Draw what is heard during a scene: about one sound in 10 s; during an event its own and no other."""
        if event is not None:
            return [_sound(draws, event.sound, scene.start, scene.end)] if event.sound else []
        middle = (scene.start + scene.end) // 2
        halves = ((scene.start, middle), (middle, scene.end)) if middle - scene.start >= 3 * TICKS else ()
        return [_sound(draws, draws.choice(self.words.sounds), *half) for half in halves if draws.chance(0.35)]


def whole(seed: int, windows: int) -> Script:
    """Draw a long stream in one piece, with one or two events a block, for streams short enough to be handled whole."""
    draws = Draws(seed, _SALT, 4)
    plain = Story(seed, windows)
    words, names, sounds = plain.words, list(plain.words.named), list(plain.words.rare_sounds)
    kinds, events = [*KINDS[:4], *draws.shuffled(KINDS)], list[Event]()
    for block in range(plain.blocks):
        length = min(windows, plain.start(block + 1)) - plain.start(block)
        room = EVENTS_A_BLOCK if length == BLOCK_WINDOWS else int(length >= BLOCK_WINDOWS // 2)
        for _ in range(min(room, len(names))):
            kind = kinds.pop() if kinds else draws.choice(KINDS[:4])
            events.append(draw_event(draws, kind, block, words, names, sounds))
    scenes, heard, told = list[Scene](), list[Sound](), Story(seed, windows, events)
    for block in range(told.blocks):
        script, _ = told.block(block)
        later = told.start(block) * WINDOW_SECONDS * TICKS
        scenes += [replace(scene, start=scene.start + later, end=scene.end + later) for scene in script.scenes]
        heard += [replace(sound, start=sound.start + later) for sound in script.sounds]
    return Script(seed, windows, SPLIT, tuple(scenes), tuple(heard), told.look)


def draw_event(draws: Draws, kind: str, block: int, words: Words, names: list[Name], sounds: list[str]) -> Event:
    """Draw what an event is; takes a name from `names`, and a rare sound from `sounds` where it needs one."""
    shape, colour = names.pop()
    sound = draws.choice(words.sounds) if kind == "sound" or draws.chance(0.3) else ""
    if kind == "colour":
        shape = words.rare_shape
    elif kind == "shape":
        colour = words.rare_colour
    elif kind == "screen":
        sound = sounds.pop()
    return Event(kind, block, (shape, colour), sound)


def _edges(draws: Draws, windows: int) -> list[int]:
    """Draw the ticks where a block's scenes begin, and its end."""
    edges = [0]
    while windows:
        length = draws.between(3, 5)
        length = windows if windows - length < 3 else length
        windows -= length
        edges.append(edges[-1] + length * WINDOW_SECONDS * TICKS)
    return edges


def _spread(draws: Draws, events: Sequence[Event], scenes: int) -> dict[int, Event]:
    """Give events scenes that are neither the first nor the last of a block, nor next to each other."""
    inner = range(1, scenes - 1)
    if not events:
        return {}
    if len(events) > EVENTS_A_BLOCK or len(inner) < 2 * len(events) - 1:
        raise ValueError(f"a block of {scenes} scenes has no room for {len(events)} events")
    if len(events) == 1:
        return {draws.choice(inner): events[0]}
    first = draws.choice(inner[:-2])
    return {first: events[0], draws.choice(range(first + 2, scenes - 1)): events[1]}


def _sound(draws: Draws, kind: str, start: int, end: int) -> Sound:
    """Draw one sound well inside [start, end), which is at least 3 s long."""
    allowed = SOUND_RANGES[kind]
    duration = draws.between(allowed.shortest, allowed.longest)
    at = start + MARGIN + draws.below(end - start - 2 * MARGIN - duration)
    pitch = draws.uniform(allowed.lowest, allowed.highest)
    return Sound(kind, at, duration, pitch, draws.uniform(*LEVELS[SPLIT]), draws.unit())
