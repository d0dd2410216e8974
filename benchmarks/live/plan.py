"""Which scene is shown and what is asked in each episode. The rule is fixed before anything runs; no model is asked.

Episode i of n of a run with first seed s:

1. its category is the one at place `28 - 29 * (n - 1 - i) // n` of SceneQA's 29: 20 episodes take 20 categories, evenly
   spread up to the last;
2. its scene is the stream of seed `s + i` of the dense split, 8 to 16 windows long;
3. the length and the draw of a canonical question of the category are the first, in the fixed order of `_attempts`,
   for which question and answer are the same one second before the stream's end and at its end (the answer is stable
   at the cut), and no sound event touches the time from `QUIET_S` before the question is spoken to the end (the speech
   masks nothing that is asked about);
4. the question is spoken so that its last voiced sample is `TAIL_S` before the end of the stream.

Where no attempt fits, the scene's seed is raised by `_NEXT_SCENE` and step 3 begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nano_omni.world import CATEGORIES, QA, Draws, Script, make_script, questions
from nano_omni.world.entities import TICKS

SHORTEST, LONGEST = 8, 16
"""Length of an episode in windows."""
QUIET_S = 0.3
TAIL_S = 0.25
_SALT = 71_003
_DRAWS = 6
"""Draws of a question about each length."""
_NEXT_SCENE = 10_000
_SCENES = 20


@dataclass(frozen=True, slots=True)
class Episode:
    """What happens in one episode.

    Attributes:
        number: from 0 on.
        script: the scene.
        qa: what is asked; its answer is the truth.
        onset: media second at which the spoken question's first voiced sample sounds.
    """

    number: int
    script: Script
    qa: QA
    onset: float

    @property
    def voiced_end(self) -> float:
        """Media second after the question's last voiced sample."""
        return self.script.seconds - TAIL_S


class NoEpisode(ValueError):
    """No scene near a seed lets a question of the category be asked beyond doubt."""


def plan(seed: int, count: int, spoken_s: Callable[[str], float]) -> list[Episode]:
    """The episodes of a run.

    Args:
        seed: of the first scene.
        count: episodes.
        spoken_s: seconds of voice that a text takes when spoken.

    Raises:
        NoEpisode: one of them does not exist.
    """
    return [_episode(number, seed, count, spoken_s) for number in range(count)]


def _episode(number: int, seed: int, count: int, spoken_s: Callable[[str], float]) -> Episode:
    category = CATEGORIES[len(CATEGORIES) - 1 - len(CATEGORIES) * (count - 1 - number) // count]
    for script, draw in _attempts(seed + number):
        qa = _stable(script, category, draw)
        if qa is None:
            continue
        onset = script.seconds - TAIL_S - spoken_s(qa.text)
        if _is_quiet(script, onset - QUIET_S):
            return Episode(number, script, qa, onset)
    raise NoEpisode(f"no scene from seed {seed + number} on suits a question of {category}")


def _attempts(seed: int) -> Iterator[tuple[Script, int]]:
    """Scenes and draws in the order in which they are tried."""
    lengths = LONGEST - SHORTEST + 1
    for scene in range(_SCENES):
        for further in range(lengths):
            script = make_script(seed + scene * _NEXT_SCENE, SHORTEST + (seed + further) % lengths, "dense")
            for draw in range(_DRAWS):
                yield script, draw


def _stable(script: Script, category: str, draw: int) -> QA | None:
    """The question drawn at the end of a stream, if the same draws give the same one a second earlier."""
    last, before = (
        questions(script, cut, Draws(script.seed, script.windows, _SALT, draw), 1, [category], phrasing="canonical")
        for cut in (script.seconds, script.seconds - 1)
    )
    same = last and before and (last[0].text, last[0].answer) == (before[0].text, before[0].answer)
    return last[0] if same else None


def _is_quiet(script: Script, since: float) -> bool:
    return all(sound.end <= since * TICKS for sound in script.sounds)
