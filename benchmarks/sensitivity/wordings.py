"""The same facts, asked in different words and heard with different errors."""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks.sensitivity.hearing import misheard
from nano_omni.world import QA, Draws, Script, make_script, questions
from nano_omni.world.questions import Phrasing

__all__ = ["CLEAN", "WORDINGS", "Sheet", "Wording", "make_sheet"]

_SALT = 30_303


@dataclass(frozen=True, slots=True)
class Wording:
    """How questions are put: a phrasing, and the share of their words that is heard wrong."""

    phrasing: Phrasing = "canonical"
    errors: float = 0.0

    @property
    def name(self) -> str:
        """For tables."""
        return self.phrasing if not self.errors else f"{self.phrasing}, {100 * self.errors:g} % word errors"


CLEAN = Wording()
"""What the others are compared with."""
WORDINGS = (
    CLEAN,
    Wording("trained"),
    Wording("held_out"),
    *(Wording(errors=rate) for rate in (0.05, 0.10, 0.20)),
)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A stream with one list of questions for each wording; the n-th questions of all lists ask for the same fact."""

    script: Script
    asked: dict[Wording, tuple[QA, ...]]


def make_sheet(seed: int, windows: int, split: str, count: int) -> Sheet:
    """Up to `count` facts about all of a stream.

    Each has draws of its own, which the choice of the fact takes from before its wording does.
    """
    script = make_script(seed, windows, split)
    found: dict[str, dict[Wording, QA]] = {}
    for number in range(3 * count):
        if len(found) == count:
            break
        ways = {}
        for phrasing in dict.fromkeys(wording.phrasing for wording in WORDINGS):
            draws = Draws(seed, windows, _SALT, number)
            ways[phrasing] = questions(script, script.seconds, draws, 1, phrasing=phrasing)
        if not all(ways.values()):
            continue
        clean = ways["canonical"][0]
        if any((one.answer, one.category) != (clean.answer, clean.category) for (one,) in ways.values()):
            continue  # a question about anything but the stream is drawn with its wording: it has no second way
        found.setdefault(
            clean.text, {wording: _heard(ways[wording.phrasing][0], wording, seed, number) for wording in WORDINGS}
        )
    return Sheet(script, {wording: tuple(ways[wording] for ways in found.values()) for wording in WORDINGS})


def _heard(qa: QA, wording: Wording, seed: int, number: int) -> QA:
    return replace(qa, text=misheard(qa.text, wording.errors, 1000 * seed + number)) if wording.errors else qa
