"""Conversations about a stream while it goes on: several questions, one after the other, each about what is known by
then. (Of the long split, `LongStream` is one by itself.)"""

from collections.abc import Collection

from nano_omni.world.draws import Draws
from nano_omni.world.entities import WINDOW_SECONDS, Script
from nano_omni.world.questions import QA, Phrasing, questions

_TRIES = 4


def episode(
    script: Script,
    draws: Draws,
    turns: int,
    categories: Collection[str] | None = None,
    *,
    phrasing: Phrasing = "canonical",
) -> list[QA]:
    """Draw a conversation: a question after every `windows / turns` windows, the last one at the stream's end.

    Args:
        script: the stream.
        draws: where questions are drawn from.
        turns: how many moments to ask at, from 1 to the stream's number of windows.
        categories, phrasing: as `questions` takes them.

    Returns:
        At most `turns`, in order of time, no two alike; fewer where a moment leaves nothing beyond doubt.

    Raises:
        ValueError: more turns than windows, or none; an unknown category.
    """
    if not 1 <= turns <= script.windows:
        raise ValueError(f"an episode has 1 to {script.windows} turns here, not {turns}")
    asked: list[QA] = []
    for turn in range(1, turns + 1):
        cut = WINDOW_SECONDS * (script.windows * turn // turns)
        known = {qa.text for qa in asked}
        found = questions(script, cut, draws, _TRIES, categories, phrasing=phrasing)
        asked += [qa for qa in found if qa.text not in known][:1]
    return asked
