"""What a small speech recogniser makes of spoken questions, as heard from synthetic voices: training asks that way too.

No mishearing stands for two words, and none is a word of the scene world itself: a misheard question keeps its meaning.
"""

import re

from nano_omni.world.draws import Draws

MISHEARD: dict[str, tuple[str, ...]] = {
    "circle": ("circles", "circled", "sir kill", "sircle"),
    "square": ("squares", "squire", "squared", "scare"),
    "triangle": ("dry angle", "try angle", "dry end bill", "triangled", "triandal"),
    "star": ("start", "stars", "tar", "stare"),
    "cross": ("gross", "grass", "crust", "across", "crosses"),
    "heart": ("hard", "hart", "hot", "part", "hearts"),
    "red": ("read", "rent", "wrecked"),
    "orange": ("oranges", "or inch", "orangey"),
    "yellow": ("yell oh", "hello", "yet low"),
    "green": ("greene", "three", "grin"),
    "blue": ("blew", "new", "blues"),
    "purple": ("purpose", "people", "purples"),
    "white": ("light", "way to", "whites"),
    "black": ("blacks", "block", "blanc"),
    "object": ("objects", "subject", "of jacked"),
    "sound": ("song", "soon", "sun", "sounded"),
    "sounds": ("songs", "towns"),
    "beep": ("beat", "keep", "peep", "beeb"),
    "bell": ("belle", "mill", "bel"),
    "buzz": ("bus", "boss", "mouse", "buzzy"),
    "chirp": ("shirt", "chart", "church", "chub", "shirk"),
    "siren": ("silence", "sirens", "asylum", "siron"),
    "knock": ("nock", "not", "knox"),
    "noise": ("voice", "mice", "noises"),
    "horn": ("corn", "horne", "haunt"),
    "screen": ("spring", "scream", "cream"),
    "while": ("well", "why on"),
    "before": ("for", "be for"),
    "moving": ("movie", "stomoving"),
    "the": ("a", "this", "her", "that"),
    "a": ("the", "one"),
    "is the": ("is this", "is", "is her"),
    "was the": ("was this", "was", "was her"),
    "way is": ("weighs",),
    "you see": ("Lucy", "use see", "yossi"),
    "small or large": ("smaller large", "small hour large", "small, Lord large"),
    "shape": ("sheep", "shade", "ship"),
}
_WORDS = re.compile("|".join(rf"\b{words}\b" for words in sorted(MISHEARD, key=len, reverse=True)))
EACH = 0.35
"""Chance of each word that may be misheard to be."""


def misheard(text: str, draws: Draws) -> str:
    """Mishear some of a question's words, the rest of it untouched."""

    def heard(match: re.Match[str]) -> str:
        return draws.choice(MISHEARD[match.group()]) if draws.chance(EACH) else match.group()

    return _WORDS.sub(heard, text)
