"""From answers in different wordings to rows: accuracy, and how much it changes with the words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.quality.jobs import Job
from benchmarks.report import table
from benchmarks.sensitivity.wordings import CLEAN, Sheet, Wording
from benchmarks.statistics import paired_difference, wilson
from nano_omni.world import QA

__all__ = ["Marks", "as_table", "rows", "word_errors"]


@dataclass
class Marks:
    """Right or wrong by job, wording and stream, and how many words were really wrong."""

    right: dict[tuple[Job, Wording], list[list[bool]]] = field(default_factory=dict)
    errors: dict[Wording, dict[int, tuple[int, int]]] = field(default_factory=dict)

    def add(self, job: Job, wording: Wording, sheet: Sheet, asked: Sequence[QA], said: Sequence[str]) -> None:
        """Note what was answered about a stream."""
        marks = [text.strip() == qa.answer for text, qa in zip(said, asked, strict=True)]
        self.right.setdefault((job, wording), []).append(marks)
        if wording.phrasing == CLEAN.phrasing:
            pairs = [(_words(one.text), _words(qa.text)) for one, qa in zip(sheet.asked[CLEAN], asked, strict=True)]
            found = sum(word_errors(*pair) for pair in pairs), sum(len(reference) for reference, _ in pairs)
            self.errors.setdefault(wording, {})[sheet.script.seed] = found


def rows(marks: Marks) -> list[dict[str, Any]]:
    """A row for each job and wording; differences are paired with the clean wording of the same job."""
    found = []
    for (job, wording), right in marks.right.items():
        clean = marks.right[job, CLEAN]
        count = sum(map(len, right))
        interval = wilson(sum(map(sum, right)), count)
        change = paired_difference([(sum(mine) - sum(its), len(mine)) for mine, its in zip(right, clean, strict=True)])
        realised = marks.errors.get(wording, {}).values()
        words = sum(total for _, total in realised)
        found.append(
            {
                "policy": job.policy,
                "deep_share": job.deep_share,
                "phrasing": wording.phrasing,
                "errors": wording.errors,
                "word_error_rate": round(sum(wrong for wrong, _ in realised) / words, 4) if words else None,
                "n": count,
                "accuracy": round(interval.value, 5),
                "confidence": [round(interval.low, 5), round(interval.high, 5)],
                "vs_clean": [round(change.value, 5), round(change.low, 5), round(change.high, 5)],
            }
        )
    return found


def as_table(found: Sequence[dict[str, Any]]) -> str:
    """For people, in per cent and points."""
    heads = ["policy", "deep", "wording", "word errors", "n", "accuracy", "95 %", "minus canonical"]
    return table(heads, [_cells(one) for one in found], left=(0, 2))


def word_errors(reference: Sequence[str], heard: Sequence[str]) -> int:
    """Fewest substitutions, deletions and insertions that make one list of words the other."""
    row = list(range(len(heard) + 1))
    for word in reference:
        above, row = row, [row[0] + 1]
        for at, other in enumerate(heard):
            row.append(min(above[at + 1] + 1, row[at] + 1, above[at] + (word != other)))
    return row[-1]


def _words(text: str) -> list[str]:
    """As word error rates are counted: without case and punctuation."""
    return "".join(letter for letter in text.lower() if letter.isalnum() or letter in " '").split()


def _cells(one: dict[str, Any]) -> list[str]:
    wording = Wording(one["phrasing"], one["errors"])
    rate = one["word_error_rate"]
    value, low, high = (100 * part for part in one["vs_clean"])
    return [
        one["policy"],
        "" if one["deep_share"] is None else f"{100 * one['deep_share']:g} %",
        wording.name,
        "" if rate is None else f"{100 * rate:.1f} %",
        str(one["n"]),
        f"{100 * one['accuracy']:.1f}",
        "[{:.1f}, {:.1f}]".format(*(100 * end for end in one["confidence"])),
        "" if wording == CLEAN else f"{value:+.1f} [{low:+.1f}, {high:+.1f}]",
    ]
