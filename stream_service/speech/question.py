"""From the recogniser's text to the words that are asked: general rules of English spelling, none about any subject."""

from __future__ import annotations

import re

from stream_service.speech.hints import OPENERS

_IMPERATIVES = frozenset({"describe", "tell", "list", "name", "count"})
_QUESTION_WORDS = frozenset(OPENERS) - _IMPERATIVES
_OLD_HYPHENS = re.compile(r"\b(to)-(day|morrow|night)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_LETTERS = re.compile(r"[^\W\d_]+")
_REPEATED = 4


def tidy(text: str) -> str:
    """The transcript as a person would have typed it.

    Rules: one space between words; "to-morrow" is "tomorrow"; a lone "You" or "I" before a capitalised question word is
    the recogniser clearing its throat and goes ("You What do you see?"; "You see what?" stays); the first letter is a
    capital; what begins with a question word ends with a question mark.
    """
    found = _OLD_HYPHENS.sub(r"\1\2", " ".join(text.split()))
    lead, _, rest = found.partition(" ")
    if lead.rstrip("',.") in {"You", "I"} and _opens(rest) and rest[:1].isupper():
        found = rest
    found = found[:1].upper() + found[1:]
    if _opens(found):
        found = found.rstrip(" .,;:!?") + "?"
    return found


def words(text: str) -> list[str]:
    """The words of ``text`` in lower case, without punctuation."""
    return _WORD.findall(text.lower())


def babbles(text: str) -> bool:
    """Whether a word, or a pair of words, is repeated four times in a row: what recognisers write for noise."""
    found = words(text)
    for size in (1, 2):
        for at in range(len(found) - size * _REPEATED + 1):
            unit = found[at : at + size]
            if found[at : at + size * _REPEATED] == unit * _REPEATED:
                return True
    return False


def _opens(text: str) -> bool:
    found = _LETTERS.match(text)  # "What's" opens as "what" does
    return found is not None and found.group().lower() in _QUESTION_WORDS
