"""A recogniser that makes a known share of word errors: substitutions by near-sounding words, deletions, insertions.

The error rate is the one of speech recognition, (substitutions + deletions + insertions) / words of the reference.
Every word is hit by itself, so a text's own rate varies around the wanted one; over many texts it is met (tests measure
it with an alignment of their own). A word that is hit at one rate is hit in the same way at every higher one: rates
compare on the same mistakes.

Which word a hit one becomes is decided by sound: letters fall into classes that are easily confused (b and p, d and t,
m and n, the vowels), and a word is replaced by one of those nearest to it in a list of everyday words. Words that name
colours, shapes, sounds, places and motions of the scene world are never put in, since they would make another question
of it, with another right answer.
"""

from __future__ import annotations

from functools import lru_cache

from benchmarks.sensitivity.words import EVERYDAY
from nano_omni.world import Draws
from nano_omni.world.vocabulary import COLOURS, MOTIONS, PLACES, SHAPES, SOUNDS

__all__ = ["DELETED", "INSERTED", "SUBSTITUTED", "distance", "misheard", "nearest"]

SUBSTITUTED, DELETED, INSERTED = 0.6, 0.2, 0.2
"""Kinds of errors: most errors of today's recognisers are substitutions."""
_MERGED = 0.1
"""Whoever aligns two texts takes an insertion beside a deletion for one substitution: at a rate r about a tenth of r of
the errors are lost so, and as many more are made."""
_CHOICES = 3
"""A word becomes one of so many nearest ones."""
_SALT = 40_404

_CLASSES = ("aeiouy", "bp", "dt", "gkcq", "fv", "sz", "mn", "lr", "h", "jx", "w")
_CLASS = {letter: number for number, letters in enumerate(_CLASSES) for letter in letters}
_CONFUSED, _VOWEL = 0.3, 0.4
"""Costs of taking a letter for another of its class, and of losing or adding a vowel; anything else costs 1."""

_NAMES = frozenset(
    word for group in (COLOURS, SHAPES, SOUNDS, PLACES, MOTIONS) for name in group for word in name.split()
)
WORDS = tuple(word for word in EVERYDAY if word not in _NAMES)
"""What may be heard."""


def misheard(text: str, rate: float, seed: int) -> str:
    """A question as a recogniser with this word error rate gives it.

    Args:
        text: words with spaces between them; what ends the text (a question mark) stays at its end.
        rate: wanted share of errors, 0 to 0.5.
        seed: equal seeds and texts give equal mistakes.

    Raises:
        ValueError: a rate out of range.
    """
    if not 0 <= rate <= 0.5:
        raise ValueError(f"a word error rate of {rate} is outside 0 to 0.5")
    body, chance = text.rstrip(".?!"), rate * (1 + _MERGED * rate)
    draws, heard = Draws(seed, _SALT), []
    for word in body.split():
        hit, kind, choice = draws.unit(), draws.unit(), draws.unit()
        if hit >= chance:
            heard.append(word)
        elif kind < SUBSTITUTED:
            heard.append(_like(word, nearest(_bare(word))[int(choice * _CHOICES)]))
        elif kind >= SUBSTITUTED + DELETED:
            heard += [word, WORDS[int(choice * len(WORDS))]]
    return " ".join(heard) + text[len(body) :] if heard else text


@lru_cache(maxsize=4096)
def nearest(word: str) -> tuple[str, ...]:
    """The three everyday words that sound most like a word, itself left out; of equal ones the first in the list."""
    others = [other for other in WORDS if other != word]
    return tuple(sorted(others, key=lambda other: distance(word, other))[:_CHOICES])


def distance(one: str, other: str) -> float:
    """How unlike two words sound: an edit distance in which confusable letters and vowels cost less."""
    row = [0.0]
    for letter in other:
        row.append(row[-1] + _lost(letter))
    for mine in one:
        above, row = row, [row[0] + _lost(mine)]
        for at, its in enumerate(other):
            row.append(min(above[at + 1] + _lost(mine), row[at] + _lost(its), above[at] + _taken(mine, its)))
    return row[-1]


def _lost(letter: str) -> float:
    return _VOWEL if _CLASS.get(letter) == 0 else 1.0


def _taken(one: str, other: str) -> float:
    if one == other:
        return 0.0
    return _CONFUSED if one in _CLASS and _CLASS[one] == _CLASS.get(other) else 1.0


def _bare(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter.isalpha())


def _like(word: str, other: str) -> str:
    """`other` with the capital and the comma of `word`."""
    comma = "," if word.endswith(",") else ""
    return (other.capitalize() if word[:1].isupper() else other) + comma
