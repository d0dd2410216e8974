"""A benchmark's question, and whether a reply answers it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Item", "Verdict", "judge"]

Kind = Literal["letter", "number", "yes_no"]

# a small letter only in brackets or at the end: "the answer is a bell" names no option
_ANNOUNCED = re.compile(
    r"\b(?i:answer|option|choice)(?i:\s+is)?\s*:?[\s*\"“]*(?:([A-Z])\b(?!')|\(([A-Za-z])\)|([a-z])(?=\W*$))"
)
_LEADING = re.compile(r"\W*([A-Z])(?:\W*$|\s*[.):,\n])")
_BRACKETED = re.compile(r"\(([A-Z])\)")


@dataclass(frozen=True, slots=True)
class Item:
    """A question about a file.

    Attributes:
        id: unique in its benchmark.
        video: the file.
        until: seconds of it that have passed when the question is asked; None for all.
        prompt: everything that is asked, in the benchmark's own words.
        answer: the letter, number, or "Yes" or "No".
        kind: which of those.
        options: how many letters there are.
        task: what the benchmark reports results by.
    """

    id: str
    video: Path
    until: float | None
    prompt: str
    answer: str
    kind: Kind
    options: int
    task: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reply said, None where that cannot be told, and whether it is right."""

    said: str | None
    right: bool


def judge(item: Item, reply: str) -> Verdict:
    """A reply that cannot be read is wrong.

    Letters: alone, before a full stop, bracket, colon, comma or line end at the start, in brackets, or after "answer",
    "option" or "choice"; a letter that is no option is none. Numbers: the only one there is. Yes or no: the first word.
    """
    said = {"letter": _letter, "number": _number, "yes_no": _yes_no}[item.kind](reply.strip(), item.options)
    return Verdict(said, said == item.answer)


def _letter(reply: str, options: int) -> str | None:
    allowed = [chr(ord("A") + index) for index in range(options)]
    if reply.upper() in allowed:
        return reply.upper()
    match = _LEADING.match(reply) or _ANNOUNCED.search(reply) or _BRACKETED.search(reply)
    said = match[match.lastindex or 0].upper() if match else None
    return said if said in allowed else None


def _number(reply: str, options: int) -> str | None:
    found = set(re.findall(r"\d+", reply))
    return str(int(found.pop())) if len(found) == 1 else None


def _yes_no(reply: str, options: int) -> str | None:
    match = re.match(r"\W*(yes|no|y|n)\b", reply, re.IGNORECASE)
    return None if match is None else "Yes" if match[1].lower().startswith("y") else "No"
