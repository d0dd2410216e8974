"""What a small speech recogniser makes of spoken questions, as heard from synthetic voices: training asks that way too.

No mishearing stands for two words, and none is a word of the scene world itself: a misheard question keeps its meaning.
Beside these known mishearings there are word errors at a rate: words dropped, doubled, or slurred into no word at all.
"""

import re
from collections.abc import Collection

from nano_omni.world.draws import Draws
from nano_omni.world.vocabulary import COLOURS, MOTIONS, SHAPES, SOUNDS

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


_WORLD = frozenset((*COLOURS, *SHAPES, *SOUNDS, *MOTIONS))
_NEAR = {"a": "e", "e": "i", "i": "e", "o": "u", "u": "o", "b": "p", "p": "b", "d": "t", "t": "d", "g": "k", "k": "g",
         "m": "n", "n": "m", "s": "z", "z": "s", "v": "f", "f": "v", "l": "r", "r": "l"}  # fmt: skip
"""Letters that sound alike."""


def word_errors(text: str, rate: float, draws: Draws, spare: Collection[str] = ()) -> str:
    """Make the errors of a poor transcript.

    Args:
        text: a question.
        rate: chance of each word to be in error, in [0, 1].
        draws: where errors are drawn from.
        spare: words never left out, since nobody could answer without them; they may still be misheard.

    Returns:
        the text, of whose words some are misheard, slurred, doubled or missing; never empty.
    """
    words, heard = text.split(), list[str]()
    for word in words:
        if not draws.chance(rate):
            heard.append(word)
            continue
        bare = re.sub(r"[^a-z']", "", word.lower())
        kind = draws.unit()
        if kind < 0.4 and bare in MISHEARD:
            heard.append(word.lower().replace(bare, draws.choice(MISHEARD[bare])))
        elif kind < 0.55:
            heard += [word, word.lower()]
        elif kind < 0.75 and bare not in spare:
            continue
        else:
            heard.append(_slurred(word, draws))
    return " ".join(heard) or words[-1]


def _slurred(word: str, draws: Draws) -> str:
    """Change or lose one letter of a word, never into another word of the world."""
    places = [at for at, letter in enumerate(word) if letter.lower() in _NEAR]
    if not places:
        return word
    at = draws.choice(places)
    other = "" if len(word) > 3 and draws.chance(0.35) else _NEAR[word[at].lower()]
    slurred = word[:at] + other + word[at + 1 :]
    return word if slurred.lower().strip("?.,") in _WORLD else slurred
