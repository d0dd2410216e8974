"""Questions about sounds, and about sounds and objects together."""

from nano_omni.world.ask_now import near_miss
from nano_omni.world.draws import Draws
from nano_omni.world.entities import Scene, Sound
from nano_omni.world.phrases import EVENTS
from nano_omni.world.truth import NO_SOUND, Asked, in_turn, shown_in, there_was_no
from nano_omni.world.view import View
from nano_omni.world.vocabulary import NUMBERS, SOUNDS, a_sound

LISTED = 3
MOST_LISTED = 4


def last(view: View, draws: Draws) -> Asked | None:
    """Ask for the last sound."""
    if view.sounding is not None:
        return None
    if not view.heard:
        return Asked("audio.last", NO_SOUND, {}) if draws.chance(0.3) else None
    return Asked("audio.last", f"{a_sound(view.heard[-1].kind)}.", {}, (view.heard[-1],))


def first(view: View, draws: Draws) -> Asked | None:
    """Ask for the first sound."""
    if not view.heard:
        return Asked("audio.first", NO_SOUND, {}) if view.sounding is None and draws.chance(0.3) else None
    return Asked("audio.first", f"{a_sound(view.heard[0].kind)}.", {}, (view.heard[0],))


def order(view: View, draws: Draws) -> Asked | None:
    """Ask which sound came before or after the only one of its kind."""
    step = draws.choice((-1, 1))
    found = [at for at, sound in enumerate(view.heard) if _once(view, sound) and 0 <= at + step < len(view.heard)]
    if not found:
        return None
    at = draws.choice(found)
    phrase = "audio.before" if step < 0 else "audio.after"
    here, other = view.heard[at], view.heard[at + step]
    return Asked(phrase, f"{a_sound(other.kind)}.", _fields(here.kind), (here, other))


def count(view: View, draws: Draws) -> Asked | None:
    """Ask how many sounds there were, of all or of one kind, up to six."""
    if draws.chance(0.3):
        total = len(view.heard)
        if view.sounding is not None or total >= len(NUMBERS):
            return None
        return Asked("audio.total", f"{NUMBERS[total]}.", {})
    kind = draws.choice(view.heard).kind if view.heard and draws.chance(0.8) else draws.choice(SOUNDS)
    times = view.kinds[kind]
    if times >= len(NUMBERS) or _in_doubt(view, kind):
        return None
    return Asked("audio.count", f"{NUMBERS[times]}.", _fields(kind))


def exists(view: View, draws: Draws) -> Asked | None:
    """Ask whether a sound was heard: half were."""
    if draws.chance(0.5):
        kinds = sorted(view.kinds)
        return Asked("audio.exists", "yes.", _fields(draws.choice(kinds))) if kinds else None
    kind = _unheard(view, draws)
    return None if kind is None else Asked("audio.exists", "no.", _fields(kind))


def listing(view: View, draws: Draws) -> Asked | None:
    """Ask for the last three sounds, or for all: of more than four, the last three."""
    if view.sounding is not None or not view.heard:
        return None
    if draws.chance(0.5):
        return Asked("audio.list", f"{in_turn(view.heard[-LISTED:])}.", {}) if len(view.heard) >= LISTED else None
    if len(view.heard) > MOST_LISTED:
        return Asked("audio.all", f"lately {in_turn(view.heard[-LISTED:])}.", {})
    return Asked("audio.all", f"{in_turn(view.heard)}.", {})


def screen(view: View, draws: Draws) -> Asked | None:
    """Ask what was visible during the only sound of a kind, or during the last one of it."""
    if not view.heard:
        return None
    kind = draws.choice(view.heard).kind
    if _in_doubt(view, kind):
        return None
    sound = next(sound for sound in reversed(view.heard) if sound.kind == kind)
    scene = view.during(sound)
    if scene is None or (view.script.split == "needle" and not scene.things):
        return None
    shown = shown_in(view, scene)
    if shown is None:
        return None
    phrase = "av.screen" if view.kinds[kind] == 1 else "av.screen.last"
    return Asked(phrase, f"{shown}.", {"event": draws.choice(EVENTS[kind])}, (scene, sound))


def sound_with(view: View, draws: Draws) -> Asked | None:
    """Ask which sound fell into the only scene that showed an object; none is asked about less often."""
    scenes = [scene for scene in view.past() if any(view.names[thing.name] == 1 for thing in scene.things)]
    if not scenes:
        return None
    scene = draws.choice(scenes)
    thing = draws.choice([thing for thing in scene.things if view.names[thing.name] == 1])
    sounds = _touching(view, scene)
    if len(sounds) > 1 or any(view.during(sound) is not scene for sound in sounds):
        return None
    if not sounds:
        worth = view.script.split != "needle" and draws.chance(0.35)
        return Asked("av.sound", NO_SOUND, {"thing": thing.name}, (scene,)) if worth else None
    return Asked("av.sound", f"{a_sound(sounds[0].kind)}.", {"thing": thing.name}, (scene, sounds[0]))


def absent_audio(view: View, draws: Draws) -> Asked | None:
    """Ask what came before or after a sound that was never heard."""
    kind = _unheard(view, draws)
    phrase = draws.choice(("audio.before", "audio.after"))
    return None if kind is None else Asked(phrase, there_was_no(kind), _fields(kind))


def absent_av(view: View, draws: Draws) -> Asked | None:
    """Ask about the scene of a sound never heard, or the sound of an object never seen."""
    if draws.chance(0.5):
        kind = _unheard(view, draws)
        phrase = draws.choice(("av.screen", "av.screen.last"))
        return None if kind is None else Asked(phrase, there_was_no(kind), {"event": draws.choice(EVENTS[kind])})
    name = near_miss(draws.choice(view.scenes).things if view.scenes else (), draws)
    return None if view.names[name] else Asked("av.sound", there_was_no(name), {"thing": name})


def _fields(kind: str) -> dict[str, str]:
    return {"sound": kind, "a_sound": a_sound(kind)}


def _in_doubt(view: View, kind: str) -> bool:
    """Tell whether a sound of this kind has begun and not ended."""
    return view.sounding is not None and view.sounding.kind == kind


def _once(view: View, sound: Sound) -> bool:
    return view.kinds[sound.kind] == 1 and not _in_doubt(view, sound.kind)


def _unheard(view: View, draws: Draws) -> str | None:
    """Draw a kind of sound that has not even begun yet."""
    kinds = [kind for kind in SOUNDS if not view.kinds[kind] and not _in_doubt(view, kind)]
    return draws.choice(kinds) if kinds else None


def _touching(view: View, scene: Scene) -> list[Sound]:
    """Return all sounds that share a moment with a scene, the one still sounding included."""
    sounds = [*view.heard, *([view.sounding] if view.sounding is not None else [])]
    return [sound for sound in sounds if sound.start < scene.end and sound.end > scene.start]
