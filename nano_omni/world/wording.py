"""All ways to put a question: fixed phrasings, and ones composed of a frame ("Can you tell me …?") and a part.

A part is a noun ("the colour of the {shape}") or a clause ("what colour the {shape} is"). What is held out never occurs
in training, word for word: the phrasings of `HELD_OUT`, all that is made with a held-out frame, and all that is made
of a held-out part.
"""

from collections.abc import Sequence
from functools import cache

from nano_omni.world.parts import CLAUSES, HELD_OUT_CLAUSES, HELD_OUT_NOUNS, NOUNS
from nano_omni.world.phrases import HELD_OUT, PHRASES

NOUN_FRAMES = (
    "Tell me {}.", "What's {}?", "What is {}?", "What was {}?", "Name {}.", "Give me {}.", "Say {}.", "State {}.",
    "I want to know {}.", "I'd like to know {}.", "I need {}.", "Can you tell me {}?", "Do you know {}?", "Find {}.",
    "Can you give me {}?", "Please tell me {}.", "And {}?", "How about {}?", "Let me know {}.",
)  # fmt: skip
CLAUSE_FRAMES = (
    "Tell me {}.", "Can you tell me {}?", "Could you tell me {}?", "Do you know {}?", "Please tell me {}.",
    "I want to know {}.", "I'd like to know {}.", "I wonder {}.", "Can you say {}?", "Let me know {}.", "Say {}.",
    "I was asking {}.", "I forgot {}.", "Can you see {}?", "Explain {}.", "Please say {}.", "Now tell me {}.",
)  # fmt: skip
REMEMBERED = ("Do you remember {}?", "Can you remember {}?", "Try to remember {}.", "Do you still know {}?")
"""Frames of what is past, for both kinds of part."""
HELD_OUT_NOUN_FRAMES = ("Could you name {}?", "Any idea of {}?", "Remind me of {}.", "I was wondering about {}.")
HELD_OUT_CLAUSE_FRAMES = (
    "Have you any idea {}?", "Would you mind telling me {}?", "Remind me {}.", "Are you able to say {}?",
)  # fmt: skip
_PRESENT = ("now.", "describe")


@cache
def trained(key: str) -> tuple[str, ...]:
    """Return every phrasing that training may use for a kind of question, the canonical one first."""
    nouns: tuple[str, ...] = NOUN_FRAMES
    clauses: tuple[str, ...] = CLAUSE_FRAMES
    if key.startswith(_PRESENT):
        nouns = tuple(frame for frame in nouns if frame != "What was {}?")
    else:
        nouns = tuple(frame for frame in nouns if frame not in ("What's {}?", "What is {}?", "Find {}.")) + REMEMBERED
        clauses = tuple(frame for frame in clauses if frame != "Can you see {}?") + REMEMBERED
    forbidden = {bare(text) for text in HELD_OUT[key]}
    made = [*PHRASES[key], *_made(nouns, NOUNS[key]), *_made(clauses, CLAUSES[key])]
    unique = {bare(text): text for text in reversed(made) if bare(text) not in forbidden}
    return tuple(reversed(unique.values()))


@cache
def held_out(key: str) -> tuple[str, ...]:
    """Return the phrasings that training never shows."""
    made = [
        *HELD_OUT[key],
        *_made(HELD_OUT_NOUN_FRAMES, (*NOUNS[key], *HELD_OUT_NOUNS.get(key, ()))),
        *_made(HELD_OUT_CLAUSE_FRAMES, (*CLAUSES[key], *HELD_OUT_CLAUSES.get(key, ()))),
        *_made(NOUN_FRAMES[:1], HELD_OUT_NOUNS.get(key, ())),
        *_made(CLAUSE_FRAMES[:2], HELD_OUT_CLAUSES.get(key, ())),
    ]
    known = {bare(text) for text in trained(key)}
    unique = {bare(text): text for text in reversed(made) if bare(text) not in known}
    return tuple(reversed(unique.values()))


def bare(text: str) -> str:
    """Strip a phrasing of case, blanks and punctuation, for comparison."""
    return "".join(letter for letter in text.lower() if letter.isalnum() or letter in "{}_")


def _made(frames: Sequence[str], parts: Sequence[str]) -> list[str]:
    return [frame.replace("{}", part) for part in parts for frame in frames]
