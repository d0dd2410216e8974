"""Successive halving over settings, and a paired test of what it found. Pure but for the marks it asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from benchmarks.calibration.exams import Exam
from benchmarks.calibration.settings import Setting
from benchmarks.calibration.sitting import Marks
from benchmarks.statistics import Interval, paired_difference

__all__ = ["Choice", "Score", "choose"]

Measure = Callable[[Sequence[Setting], Sequence[Exam]], Mapping[Setting, Sequence[Marks]]]


@dataclass(frozen=True, slots=True)
class Score:
    """A setting's answers so far."""

    setting: Setting
    right: int
    asked: int


@dataclass(frozen=True)
class Choice:
    """What was chosen, and why.

    Attributes:
        chosen: the setting.
        default: what ties go to.
        challenger: the best other one of the first two rounds; None if there is none.
        rounds: scores of the first two rounds, best first; those of the second include the first.
        final: marks of the last round, on streams of its own, by setting.
        difference: accuracy of the challenger minus that of the default there, paired; None without a challenger.
    """

    chosen: Setting
    default: Setting
    challenger: Setting | None
    rounds: tuple[tuple[Score, ...], ...]
    final: Mapping[Setting, Sequence[Marks]]
    difference: Interval | None


def choose(
    settings: Sequence[Setting],
    exams: tuple[Sequence[Exam], Sequence[Exam], Sequence[Exam]],
    measure: Measure,
    *,
    beside: Sequence[Setting] = (),
) -> Choice:
    """The setting that answers best, or the default where no other is better beyond doubt.

    All settings sit the first exams; the better third (and the default) sit the second; the best of those that is not
    the default meets it in the third, which neither was chosen by. It wins if the 95 % interval of the paired
    difference, streams resampled whole, lies above 0. Among equals the earlier in `settings` is ahead, everywhere.

    Args:
        settings: the default first.
        exams: of the three rounds.
        measure: marks of settings in exams.
        beside: settings that sit the last exams for comparison only.
    """
    default = settings[0]
    sums = dict.fromkeys(settings, (0, 0))
    left, rounds = list(settings), []
    for group in exams[:2]:
        if len(settings) == 1:
            break
        for setting, marks in measure(left, group).items():
            right, asked = sums[setting]
            sums[setting] = right + sum(sum(one.right) for one in marks), asked + sum(len(one.right) for one in marks)
        ranked = sorted(left, key=lambda setting: (-sums[setting][0], settings.index(setting)))
        rounds.append(tuple(Score(setting, *sums[setting]) for setting in ranked))
        left = ranked[: max(2, ceil(len(settings) / 3))]
        left += [] if default in left else [default]
    challenger = next((setting for setting in left if setting != default), None)
    last = [default, *([challenger] if challenger else []), *beside]
    final = measure(list(dict.fromkeys(last)), exams[2])
    if challenger is None:
        return Choice(default, default, None, tuple(rounds), final, None)
    pairs = zip(final[challenger], final[default], strict=True)
    difference = paired_difference([(sum(mine.right) - sum(its.right), len(mine.right)) for mine, its in pairs])
    chosen = challenger if difference.low > 0 else default
    return Choice(chosen, default, challenger, tuple(rounds), final, difference)
