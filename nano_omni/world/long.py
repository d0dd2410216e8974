"""SceneQA's long split: 10 to 120 minutes of stream, questions about events of known ages.

    stream = LongStream(8_000_000, minutes=30)
    for window in stream.play():                       # one window of 2 s after the other; memory stays constant
        ...feed window.frames and window.samples to the store...
        for asked in window.asked:                     # questions that fall due when this window is over
            ...put asked.text; asked.answer is right...

Everything follows from the seed. A stream is asked at several whole minutes (`moments`), so that it is a conversation
of several turns; each event is asked about once. What a question's truth rests on lies in the windows
`asked.first_window` to `asked.last_window`, `asked.age_seconds` before it is put.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nano_omni.world.draws import Draws
from nano_omni.world.entities import TICKS, WINDOW_SECONDS, Scene, Script
from nano_omni.world.pack import pack
from nano_omni.world.phrases import EVENTS
from nano_omni.world.questions import Phrasing, worded
from nano_omni.world.render import render
from nano_omni.world.sound import synthesise
from nano_omni.world.story import (
    BLOCK_WINDOWS,
    EVENTS_A_BLOCK,
    KINDS,
    MOST_NAMED,
    RARE_SOUNDS,
    Event,
    Story,
    draw_event,
)
from nano_omni.world.truth import Asked, listed
from nano_omni.world.view import in_order
from nano_omni.world.vocabulary import a_sound

AGES = (1, 2, 5, 10, 20, 60)
"""Minutes between an event and the question about it, each give or take half a minute (from 5 on, sometimes 1.5)."""
MINUTES = (2, 240)
_SALT, _FRAMES = 70_707, 4
CATEGORIES = {
    "place": "past.place", "sound": "av.sound", "before": "past.before", "after": "past.after",
    "colour": "past.colour", "shape": "past.shape", "screen": "av.screen",
}  # fmt: skip
"""Category of SceneQA that each kind of event is asked in."""


@dataclass(frozen=True, slots=True)
class LongQuestion:
    """A question about something long ago."""

    text: str
    answer: str
    category: str
    """One of SceneQA's categories."""
    cut: int
    """Second at which it is asked; a window has just ended."""
    age_minutes: int
    """Of `AGES`."""
    age_seconds: float
    """From the end of what it is about to the question."""
    first_window: int
    last_window: int
    """Windows that the truth rests on, both included."""


@dataclass(frozen=True, slots=True)
class LongWindow:
    """Two seconds of a stream."""

    index: int
    frames: NDArray[np.uint8]
    """[4, 168, 168, 3], RGB."""
    samples: NDArray[np.float32]
    """[32000], mono at 16 kHz in [-1, 1]."""
    asked: tuple[LongQuestion, ...]
    """Put once this window is over."""

    @property
    def start(self) -> float:
        """Stream second at which it begins."""
        return float(WINDOW_SECONDS * self.index)


class LongStream:
    """A long stream and what is asked about it.

    Args:
        seed: equal seeds, minutes, moments, ages and numbers give equal streams and questions.
        minutes: length, 2 to 240.
        moments: whole minutes at which questions are asked, at most `minutes`; the middle and the end by default.
        ages: minutes, from 1 on; at a moment only those that lie at least a minute inside the stream are asked.
        per_age: questions of each age at the last moment; one at each earlier one.
        phrasing: as in training, the canonical one only, or ones that training never shows.

    Attributes:
        windows: number of windows of 2 s.
        questions: all questions, in order of time. Fewer than asked for where ages fall together or names run out.

    Raises:
        ValueError: a length, moment or age out of range.
    """

    def __init__(
        self,
        seed: int,
        minutes: int,
        *,
        moments: Sequence[int] | None = None,
        ages: Sequence[int] = AGES,
        per_age: int = 2,
        phrasing: Phrasing = "canonical",
    ) -> None:
        if not MINUTES[0] <= minutes <= MINUTES[1]:
            raise ValueError(f"a long stream lasts {MINUTES[0]} to {MINUTES[1]} minutes, not {minutes}")
        chosen = sorted({minutes // 2, minutes} if moments is None else set(moments))
        if not chosen or not 1 <= chosen[0] <= chosen[-1] <= minutes:
            raise ValueError(f"moments are whole minutes from 1 to {minutes}, not {chosen}")
        if not ages or min(ages) < 1 or per_age < 1:
            raise ValueError("ages are whole minutes from 1 on, and per_age at least 1")
        self.seed, self.minutes, self.windows = seed, minutes, BLOCK_WINDOWS * minutes
        draws = Draws(seed, minutes, _SALT)
        due = _schedule(chosen, ages, per_age)
        events = _name(due, Story(seed, self.windows), draws)
        self._story = Story(seed, self.windows, events)
        asked = [
            self._question(event, moment, age, draws, phrasing)
            for event, (moment, age, _) in zip(events, due, strict=False)
        ]
        self.questions = tuple(sorted(asked, key=lambda one: (one.cut, one.age_seconds)))

    def play(self, device: torch.device | str = "cpu") -> Iterator[LongWindow]:
        """Yield the stream's windows in order; at most a minute of media is held at a time.

        Args:
            device: where pictures and sound are made; the same within one step on every device.
        """
        for block in range(self._story.blocks):
            script, _ = self._story.block(block)
            packed, first = pack([script]), self._story.start(block)
            frames = render(packed, device, chunk=64)[0].cpu().numpy()
            samples = synthesise(packed, device)[0].cpu().numpy()
            for at in range(script.windows):
                seen = frames[_FRAMES * at : _FRAMES * (at + 1)]
                heard = np.split(samples, script.windows)[at]
                yield LongWindow(first + at, seen, heard, self.asked_after(first + at))

    def asked_after(self, window: int) -> tuple[LongQuestion, ...]:
        """Return the questions that are put once a window is over."""
        return tuple(one for one in self.questions if one.cut == WINDOW_SECONDS * (window + 1))

    def script(self, block: int) -> Script:
        """Return the truth of a block (0 to `minutes`; the first and the last are half a minute), its times from its
        own start; see `start`."""
        return self._story.block(block)[0]

    @property
    def blocks(self) -> int:
        """How many blocks the stream has."""
        return self._story.blocks

    def start(self, block: int) -> int:
        """Return the first window of a block."""
        return self._story.start(block)

    def _question(self, event: Event, moment: int, age: int, draws: Draws, phrasing: Phrasing) -> LongQuestion:
        script, placed = self._story.block(event.block)
        at = next(scene for scene, other in placed.items() if other == event)
        asked, shown = _asked(event, script, at, draws)
        first = self._story.start(event.block)
        begin, end = min(scene.start for scene in shown), max(scene.end for scene in shown)
        cut = 60 * moment
        return LongQuestion(
            text=worded(asked, draws, phrasing),
            answer=asked.answer,
            category=CATEGORIES[event.kind],
            cut=cut,
            age_minutes=age,
            age_seconds=cut - WINDOW_SECONDS * first - end / TICKS,
            first_window=first + begin // (WINDOW_SECONDS * TICKS),
            last_window=first + (end - 1) // (WINDOW_SECONDS * TICKS),
        )


def _schedule(moments: Sequence[int], ages: Sequence[int], per_age: int) -> list[tuple[int, int, int]]:
    """Plan (moment, age, block) of every question, the last moment's first."""
    taken: dict[int, int] = {}
    plan = []
    for moment in reversed(moments):
        for age in sorted(ages):
            # Block m lies around the end of minute m: an event in it is about (moment - m) minutes old.
            near = (0, -1, 1) if age >= 5 else (0,)
            for _ in range(per_age if moment == moments[-1] else 1):
                blocks = [moment - age + shift for shift in near if moment - age + shift >= 1]
                free = [block for block in blocks if taken.get(block, 0) < EVENTS_A_BLOCK]
                if moment - age >= 1 and free:
                    block = min(free, key=lambda one: taken.get(one, 0))
                    taken[block] = taken.get(block, 0) + 1
                    plan.append((moment, age, block))
    return plan


def _name(due: Sequence[tuple[int, int, int]], story: Story, draws: Draws) -> list[Event]:
    """Decide what each event is; as many as there are names for."""
    words = story.words
    rare = ["colour", "shape", *["screen"] * RARE_SOUNDS]
    common = [kind for kind in KINDS if kind not in rare]
    kinds = draws.shuffled(rare)[: max(1, len(due) // 3)]
    kinds += [common[at % len(common)] for at in range(len(due) - len(kinds))]
    names, sounds = list(words.named), list(words.rare_sounds)
    events: list[Event] = []
    for (_, _, block), kind in zip(due, draws.shuffled(kinds), strict=True):
        if len(events) == MOST_NAMED:
            break
        events.append(draw_event(draws, kind, block, words, names, sounds))
    return events


def _asked(event: Event, script: Script, at: int, draws: Draws) -> tuple[Asked, list[Scene]]:
    """Form the question about an event in scene `at` of its block, and name the scenes its answer rests on."""
    scene = script.scenes[at]
    thing = next(one for one in scene.things if (one.shape, one.colour) == event.name)
    phrase = CATEGORIES[event.kind]
    if event.kind == "place":
        return Asked(phrase, f"{thing.place}.", {"thing": thing.name}), [scene]
    if event.kind == "sound":
        return Asked(phrase, f"{a_sound(event.sound)}.", {"thing": thing.name}), [scene]
    if event.kind == "colour":
        return Asked(phrase, f"{thing.colour}.", {"shape": thing.shape}), [scene]
    if event.kind == "shape":
        return Asked(phrase, f"a {thing.shape}.", {"colour": thing.colour}), [scene]
    if event.kind == "screen":
        return Asked(phrase, f"{_shown(scene)}.", {"event": draws.choice(EVENTS[event.sound])}), [scene]
    other = script.scenes[at + (1 if event.kind == "after" else -1)]
    return Asked(phrase, f"{_shown(other)}.", {"thing": thing.name}), [scene, other]


def _shown(scene: Scene) -> str:
    things = in_order(scene.things, 0, (scene.end - scene.start) / TICKS)
    assert things is not None, "scenes of a story are in order"
    return listed(things)
