"""SceneQA: questions about a stream at a moment, each with its one right answer.

A question is only drawn where a human who saw and heard the first `cut` seconds could not doubt the answer. Lists run
from left to right, within one column from top to bottom; sounds run in order of time.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from nano_omni.world import ask_now, ask_past, ask_sound
from nano_omni.world.draws import Draws
from nano_omni.world.entities import TICKS, Script
from nano_omni.world.hearing import misheard, word_errors
from nano_omni.world.outside import REPLY, draw_outside
from nano_omni.world.phrases import LEADS, PHRASES, TAILS
from nano_omni.world.truth import Asked, articled
from nano_omni.world.view import View
from nano_omni.world.wording import held_out, trained

Phrasing = Literal["trained", "canonical", "held_out"]
Maker = Callable[[View, Draws], Asked | None]

OUTSIDE = "outside"
MAKERS: dict[str, tuple[float, Maker]] = {
    "now.list": (1.6, ask_now.list_now),
    "now.colour": (1.6, ask_now.colour_now),
    "now.shape": (1.4, ask_now.shape_now),
    "now.place": (1.3, ask_now.place_now),
    "now.count": (1.2, ask_now.count_now),
    "now.motion": (1.6, ask_now.motion_now),
    "now.size": (0.7, ask_now.size_now),
    "now.exists": (1.0, ask_now.exists_now),
    "past.first": (1.4, ask_past.first),
    "past.before": (1.0, ask_past.before),
    "past.after": (1.0, ask_past.after),
    "past.colour": (1.2, ask_past.colour_past),
    "past.shape": (1.2, ask_past.shape_past),
    "past.place": (1.2, ask_past.place_past),
    "past.exists": (0.9, ask_past.exists_past),
    "audio.last": (1.1, ask_sound.last),
    "audio.first": (0.8, ask_sound.first),
    "audio.order": (0.8, ask_sound.order),
    "audio.count": (0.9, ask_sound.count),
    "audio.exists": (0.9, ask_sound.exists),
    "audio.list": (1.0, ask_sound.listing),
    "av.screen": (1.3, ask_sound.screen),
    "av.sound": (1.2, ask_sound.sound_with),
    "absent.now": (1.0, ask_now.absent_now),
    "absent.past": (0.8, ask_past.absent_past),
    "absent.audio": (0.5, ask_sound.absent_audio),
    "absent.av": (0.6, ask_sound.absent_av),
    "describe": (1.0, ask_past.describe),
    OUTSIDE: (0.8, lambda view, draws: None),
}
CATEGORIES = tuple(MAKERS)
_BY_EYE, _BY_EAR = ("now.", "past.", "absent.now", "absent.past", OUTSIDE), ("audio.", "absent.audio", OUTSIDE)
VIDEO_CATEGORIES = tuple(name for name in CATEGORIES if name.startswith(_BY_EYE))
"""Those that need no sound."""
AUDIO_CATEGORIES = tuple(name for name in CATEGORIES if name.startswith(_BY_EAR))
"""Those that need no picture."""
NEEDLE_CATEGORIES = (
    "past.before", "past.after", "past.colour", "past.shape", "past.place", "audio.first", "audio.last", "audio.order",
    "av.screen", "av.sound",
)  # fmt: skip
"""What is asked about streams of the needle split: one or two needles decide each of these."""
CANONICAL, FIXED = 0.2, 0.3
"""Shares of the trained phrasings that are the canonical one, and one of the fixed ones; the rest are composed."""
MISHEARD_SHARE = 0.2
"""Share of the trained questions in which words may be misheard."""
ERRORS_SHARE, ERROR_RATES = 0.25, (0.05, 0.1, 0.2)
"""Share of the trained questions with word errors, and how many words of a hundred are in error."""


@dataclass(frozen=True, slots=True)
class QA:
    """A question asked once the first `cut` seconds are known, and its answer."""

    text: str
    answer: str
    category: str
    cut: int
    evidence: tuple[tuple[int, int], ...] = ()
    """Ticks [start, end) of the scenes and sounds that the answer rests on; none where it rests on everything."""


def questions(
    script: Script,
    cut: int,
    rng: Draws,
    n: int,
    categories: Collection[str] | None = None,
    *,
    phrasing: Phrasing = "trained",
    errors: float = 0.0,
) -> list[QA]:
    """Draw questions about the first `cut` seconds of a stream.

    Args:
        script: the stream.
        cut: whole seconds known, from 1 to the stream's length.
        rng: where phrasings and choices are drawn from.
        n: how many.
        categories: of `CATEGORIES`, or their first parts ("now", "audio"); by default all, of needles those in
            `NEEDLE_CATEGORIES`.
        phrasing: as in training, the canonical one only, or ones that training never shows.
        errors: share of the words that a poor transcript gets wrong, in [0, 1].

    Returns:
        At most n; fewer where the moment leaves too little beyond doubt.

    Raises:
        ValueError: a cut outside the stream or an unknown category.
    """
    if not 1 <= cut <= script.seconds:
        raise ValueError(f"the cut must be 1 to {script.seconds} s, not {cut}")
    names = _chosen(NEEDLE_CATEGORIES if categories is None and script.split == "needle" else categories)
    sums, total = [], 0.0
    for name in names:
        total += MAKERS[name][0]
        sums.append(total)
    view, found = View(script, cut), list[QA]()
    for _ in range(6 * n):
        if len(found) == n:
            break
        name = rng.weighted(names, sums)
        if name == OUTSIDE:
            text = draw_outside(rng, held_out=phrasing == "held_out")
            text = text if phrasing == "canonical" else _said(text, rng)
            found.append(QA(word_errors(text, errors, rng), REPLY, name, cut))
            continue
        asked = MAKERS[name][1](view, rng)
        if asked is not None:
            text = word_errors(worded(asked, rng, phrasing), errors, rng)
            found.append(QA(text, asked.answer, name, cut, _evidence(asked, name, view)))
    return found


def _evidence(asked: Asked, name: str, view: View) -> tuple[tuple[int, int], ...]:
    on = asked.on
    if not on and view.now is not None and name.startswith(("now.", "absent.now")):
        on = (view.now,)
    return tuple((part.start, min(part.end, view.cut * TICKS)) for part in on)


def _chosen(categories: Collection[str] | None) -> Sequence[str]:
    """Return the categories that names or their first parts stand for."""
    if categories is None:
        return CATEGORIES
    chosen = [name for name in CATEGORIES if name in categories or name.split(".")[0] in categories]
    heads = {name.split(".")[0] for name in CATEGORIES}
    unknown = [name for name in categories if name not in heads and name not in CATEGORIES]
    if unknown or not chosen:
        raise ValueError(f"unknown categories {sorted(unknown)}: choose from {', '.join(CATEGORIES)}")
    return chosen


def worded(asked: Asked, draws: Draws, phrasing: Phrasing) -> str:
    """Put a question into words: canonical, as training does, or in ways that training never shows."""
    known = PHRASES[asked.phrase]
    if phrasing == "canonical":
        return articled(known[0].format_map(asked.fields))
    if phrasing == "held_out":
        return _said(articled(draws.choice(held_out(asked.phrase)).format_map(asked.fields)), draws)
    luck = draws.unit()
    pattern = (
        known[0] if luck < CANONICAL else draws.choice(known if luck < CANONICAL + FIXED else trained(asked.phrase))
    )
    text = articled(pattern.format_map(asked.fields))
    if draws.chance(MISHEARD_SHARE):
        text = misheard(text, draws)
    text = _said(text, draws)
    if draws.chance(ERRORS_SHARE):
        spare = {word for value in asked.fields.values() for word in value.split()}
        text = word_errors(text, draws.choice(ERROR_RATES), draws, spare)
    return text


def _said(text: str, draws: Draws) -> str:
    """Vary case, punctuation, spelling and contraction as typists and speech recognisers do."""
    if draws.chance(0.45):
        text = text.replace("olour", "olor").replace("ummarise", "ummarize")
    if draws.chance(0.12):
        text = text.replace("What is", "What's").replace("Where is", "Where's").replace("There is", "There's")
    if draws.chance(0.08):
        lead = draws.choice(LEADS)
        text = lead[0].upper() + lead[1:] + text[0].lower() + text[1:]
    elif draws.chance(0.06):
        text = text[:-1] + draws.choice(TAILS) + text[-1]
    style = draws.unit()
    if style < 0.5:
        return text
    if style < 0.65:
        return text.lower()
    bare = text.rstrip("?.").replace(",", "")
    if style < 0.9:
        return bare.lower().replace("'", "" if draws.chance(0.4) else "'")
    return bare if style < 0.96 else f"{bare}."
