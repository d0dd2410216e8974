"""The forms that answers take."""

from collections.abc import Sequence
from dataclasses import dataclass

from nano_omni.world.entities import Scene, Sound, Thing
from nano_omni.world.view import View
from nano_omni.world.vocabulary import a_sound

NOTHING = "nothing"
NO_SOUND = "there was no sound."


@dataclass(frozen=True, slots=True)
class Asked:
    """A question not yet in words: the key of its phrasings, what to fill in, and the answer."""

    phrase: str
    answer: str
    fields: dict[str, str]
    on: tuple[Scene | Sound, ...] = ()
    """The scenes and sounds that the answer rests on; none where it rests on everything so far."""


def articled(text: str) -> str:
    """Put "an" before the one word of our world that begins with a vowel."""
    return text.replace("a orange", "an orange").replace("A orange", "An orange")


def joined(items: Sequence[str]) -> str:
    """Join items as "a", "a and b" or "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def listed(things: Sequence[Thing]) -> str:
    """Name objects in order: "a red circle and an orange star", or "nothing"."""
    return articled(joined([f"a {thing.name}" for thing in things])) if things else NOTHING


def shown_in(view: View, scene: Scene) -> str | None:
    """Name what a scene shows, or None where the order of its objects is in doubt."""
    things = view.ordered(scene)
    return None if things is None else listed(things)


def in_turn(sounds: Sequence[Sound]) -> str:
    """Name sounds in order of time: "a bell, then noise"."""
    return ", then ".join(a_sound(sound.kind) for sound in sounds)


def there_is_no(name: str) -> str:
    """Answer a question about something that is not there now."""
    return articled(f"there is no {name}.")


def there_was_no(name: str) -> str:
    """Answer a question about something that never was."""
    return articled(f"there was no {name}.")
