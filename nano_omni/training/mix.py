"""What the model is trained on: lengths, splits, modalities, turns, compression and drops, all in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nano_omni.training.layout import StreamShape
from nano_omni.world.draws import Draws
from nano_omni.world.entities import Script
from nano_omni.world.questions import Phrasing, questions
from nano_omni.world.script import make_script

EVALUATION_SEEDS = 8_000_000
"""Training draws its seeds below this; evaluation from here to the acceptance seeds."""
DROP_GROUPS = 3
# What can be asked when a track is missing.
VIDEO_CATEGORIES = ("now", "past", "outside")
AUDIO_CATEGORIES = ("audio", "outside")
# What is learned last, asked more often for it.
HARD_CATEGORIES = (
    "av.screen", "av.sound", "past.before", "past.after", "describe",
    "audio.order", "audio.list", "audio.count", "now.size",
)  # fmt: skip


@dataclass(frozen=True)
class Mix:
    """Shares of everything in the training data; evaluation rows are other values of the same fields."""

    windows: tuple[tuple[int, float], ...] = ((4, 0.15), (8, 0.27), (16, 0.43), (32, 0.15))
    needle: float = 0.3
    compressed: float = 0.7
    video_only: float = 0.04
    audio_only: float = 0.04
    turns: tuple[float, ...] = (0.45, 0.2, 0.15, 0.1, 0.06, 0.04)  # chance of 0, 1, 2 … turns in the conversation
    slots_per_window: float = 3.0
    fewest_slots: int = 12
    at_end: float = 0.3  # share of the slots asked at the very end
    drops: tuple[float, float] = (0.4, 0.2)  # share of streams with a keep ratio per stream, per slot
    hard: float = 0.3  # share of the moments at which only hard categories are asked
    keep: tuple[float, float] = (0.12, 1.0)  # keep ratios of the deep half, drawn on a logarithmic scale
    phrasing: Phrasing = "trained"
    seeds: tuple[int, int] = (0, EVALUATION_SEEDS)


@dataclass(frozen=True)
class Asked:
    """A question at a second, with its answer."""

    cut: int
    text: str
    answer: str
    category: str
    after_turn: bool = False


@dataclass(frozen=True)
class StreamPlan:
    """Everything about one stream of a batch that is not pixels or samples."""

    script: Script
    shape: StreamShape
    turns: Sequence[Asked] = ()
    slots: Sequence[Asked] = field(default_factory=list)
    drops: str = "none"
    keep: tuple[float, float] = (1.0, 1.0)

    def draw_shares(self, random: np.random.Generator) -> NDArray[np.float32]:
        """Keep ratios of the three groups of deep layers: half of the time one ratio, else falling with depth."""
        low, high = np.log(self.keep[0]), np.log(self.keep[1])
        shares = np.full(DROP_GROUPS, np.exp(random.uniform(low, high)), dtype=np.float32)
        if self.keep[0] < self.keep[1] and random.random() < 0.5:
            shares = np.sort(np.exp(random.uniform(low, high, DROP_GROUPS)))[::-1].astype(np.float32)
        return shares


def draw_scripts(mix: Mix, windows: int, random: np.random.Generator) -> list[Script]:
    """Scripts of one random length whose windows add up to at most `windows`."""
    lengths, shares = zip(*mix.windows, strict=True)
    length = int(random.choice(lengths, p=np.array(shares) / sum(shares)))
    return [draw_script(mix, length, random) for _ in range(windows // length)]


def draw_script(mix: Mix, windows: int, random: np.random.Generator) -> Script:
    """One script of `windows` windows."""
    return make_script(int(random.integers(*mix.seeds)), windows, "needle" if random.random() < mix.needle else "dense")


def draw_stream(mix: Mix, script: Script, random: np.random.Generator) -> StreamPlan:
    """Turns and slots for a script."""
    modality = random.random()
    categories: Sequence[str] | None = None
    video, audio = True, True
    if modality < mix.video_only:
        audio, categories = False, VIDEO_CATEGORIES
    elif modality < mix.video_only + mix.audio_only:
        video, categories = False, AUDIO_CATEGORIES
    shape = StreamShape(script.seconds, video, audio, bool(random.random() < mix.compressed))
    draws = Draws(script.seed, int(random.integers(2**31)))
    count = int(random.choice(len(mix.turns), p=mix.turns))
    turns = [
        asked
        for cut in sorted(_cuts(shape.seconds, count, 0.0, random).tolist())
        for asked in _ask(mix, script, cut, 1, categories, draws)
    ]
    wanted = max(mix.fewest_slots, round(mix.slots_per_window * script.windows))
    cuts, repeats = np.unique(_cuts(shape.seconds, wanted, mix.at_end, random), return_counts=True)
    slots = [
        asked
        for cut, n in zip(cuts.tolist(), repeats.tolist(), strict=True)
        for asked in _ask(mix, script, cut, n, categories, draws)
    ]
    random.shuffle(slots)
    luck = random.random()
    drops = "stream" if luck < mix.drops[0] else "slot" if luck < sum(mix.drops) else "none"
    return StreamPlan(script, shape, turns, slots, drops, mix.keep)


def _cuts(seconds: int, count: int, at_end: float, random: np.random.Generator) -> NDArray[np.int64]:
    cuts = random.integers(1, seconds + 1, count)
    return np.where(random.random(count) < at_end, seconds, cuts)


def _ask(mix: Mix, script: Script, cut: int, count: int, categories: Sequence[str] | None, draws: Draws) -> list[Asked]:
    if categories is None and draws.chance(mix.hard):
        categories = HARD_CATEGORIES
    found = questions(script, cut, draws, count, categories=categories, phrasing=mix.phrasing)
    return [Asked(cut, qa.text, qa.answer, qa.category, draws.chance(0.5)) for qa in found]
