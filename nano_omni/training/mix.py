"""What the model is trained on: lengths, splits, modalities, turns, what is left of the past, all in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nano_omni.training.layout import Rows, StreamShape
from nano_omni.training.past import Past, sliding, stored, thinned, untouched
from nano_omni.training.schedules import FORMS
from nano_omni.world.draws import Draws
from nano_omni.world.entities import SPLITS, TICKS, Script
from nano_omni.world.questions import QA, Phrasing, questions
from nano_omni.world.script import make_script

EVALUATION_SEEDS = 8_000_000
"""Training draws its seeds below this; evaluation from here to the acceptance seeds."""
POSITIONS = 3_600
STORE_BUDGET = 4_096
"""Audiovisual tokens of a store as it is served."""
LONGEST_TRAINED = 64
"""Windows of a stream that is trained whole; of a longer one only what a store of `STORE_BUDGET` tokens has left."""
# What can be asked when a track is missing.
VIDEO_CATEGORIES = ("now", "past", "outside")
AUDIO_CATEGORIES = ("audio", "outside")
EVERYTHING = ("now", "past", "audio", "av", "absent", "describe", "outside")
# What is learned last, asked more often for it, unless a run names others.
HARD_CATEGORIES = (
    "av.screen", "av.sound", "past.before", "past.after", "describe",
    "audio.order", "audio.list", "audio.count", "now.size",
)  # fmt: skip
_WIDEST_EVIDENCE = 12  # seconds; what lies farther apart is no place that a question could point at
_WINDOW_TOKENS = 64  # of a compressed window, on average

Lengths = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Mix:
    """Shares of everything in the training data; evaluation rows are other values of the same fields."""

    windows: Lengths = ((4, 0.15), (8, 0.25), (16, 0.33), (32, 0.17), (64, 0.10))
    splits: tuple[float, ...] = (0.5, 0.38, 0.12)  # dense, needle, long
    compressed: float = 0.0
    video_only: float = 0.04
    audio_only: float = 0.04
    turns: tuple[float, ...] = (0.45, 0.2, 0.15, 0.1, 0.06, 0.04)  # chance of 0, 1, 2 … turns in the conversation
    slots_per_window: float = 3.0
    fewest_slots: int = 12
    most_slots: int = 448
    at_end: float = 0.3  # share of the slots asked at the very end
    hard: float = 0.3  # share of the moments at which only hard categories are asked …
    hard_categories: tuple[str, ...] = HARD_CATEGORIES  # … namely these
    needles_only: float = 0.7  # share of the needle streams asked about nothing else
    thinned: float = 0.0  # share of streams of which some tokens only enter the decoder …
    entering: tuple[float, float] = (0.2, 0.8)  # … and how many, drawn on a logarithmic scale
    sliding: float = 0.0  # share of streams seen through a window of at least half their length
    stored: float = 0.0  # share of streams thinned by a full store
    squeeze: tuple[float, float] = (1.5, 10.0)  # tokens of a stored stream for one of the budget
    store: tuple[float, float] = (0.6, 1.0)  # of `STORE_BUDGET`, where a stream is too long to be trained whole
    drops: tuple[float, float] = (0.0, 0.0)  # share of streams with one schedule of drops, with one for each slot
    forms: tuple[float, ...] = (0.3, 0.3, 0.15, 0.1, 0.15)  # of `FORMS`
    keep: tuple[float, float] = (0.05, 1.0)  # share left at the last layer, drawn on a logarithmic scale
    spared: float = 0.85  # share of the slots' drops that spare what the question is about
    salient: float = 0.75  # share of streams in which tokens that cover something tend to stay
    phrasing: Phrasing = "trained"
    errors: float = 0.0  # share of words that a transcript gets wrong, beyond what training does anyway
    seeds: tuple[int, int] = (0, EVALUATION_SEEDS)


def whole_streams() -> Mix:
    """Of the first part of training: nothing is ever missing."""
    return Mix()


def pruned_streams() -> Mix:
    """Of the last part: everything that a policy or a full store may do, and nothing done at all."""
    lengths = ((4, 0.08), (8, 0.16), (16, 0.32), (32, 0.2), (64, 0.14), (128, 0.06), (256, 0.04))
    return Mix(
        windows=lengths,
        compressed=0.75,
        slots_per_window=3.5,
        thinned=0.15,
        sliding=0.06,
        stored=0.24,
        drops=(0.35, 0.3),
    )


@dataclass(frozen=True)
class Asked:
    """A question at a second, with its answer; `evidence` are the seconds it is about, if they lie close together."""

    cut: int
    text: str
    answer: str
    category: str
    after_turn: bool = False
    evidence: tuple[int, int] | None = None


@dataclass(frozen=True)
class Loss:
    """What is missing of a stream.

    Attributes:
        past: "whole", "thinned", "sliding" or "stored".
        amount: share of the tokens that enter; windows seen; tokens of the store's budget.
        limit: position ids of a store.
        salience: how much more easily tokens that cover nothing go, in [0, 1].
        drops: "none", "stream" or "slot": who shares a schedule of drops.
        forms, keep, spared: as in `Mix`.
    """

    past: str = "whole"
    amount: float = 1.0
    limit: int = POSITIONS
    salience: float = 0.0
    drops: str = "none"
    forms: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 0.0)
    keep: tuple[float, float] = (1.0, 1.0)
    spared: float = 0.0

    def left(self, trunk: Rows, random: np.random.Generator) -> Past:
        """What becomes of a conversation."""
        if self.past == "thinned":
            return thinned(trunk, self.amount)
        if self.past == "sliding":
            return sliding(trunk, round(self.amount))
        if self.past == "stored":
            return stored(trunk, round(self.amount), self.limit, random)
        return untouched(trunk)

    def draw_form(self, random: np.random.Generator) -> tuple[str, float]:
        """A form of schedule and what it leaves."""
        form = str(random.choice(FORMS, p=np.array(self.forms) / sum(self.forms)))
        return form, _logarithmic(self.keep, random)


@dataclass(frozen=True)
class StreamPlan:
    """Everything about one stream of a batch that is not pixels or samples."""

    script: Script
    shape: StreamShape
    turns: Sequence[Asked] = ()
    slots: Sequence[Asked] = field(default_factory=list)
    loss: Loss = field(default_factory=Loss)


def draw_length(mix: Mix, windows: int, random: np.random.Generator) -> int:
    """A length of streams, in windows, of those that are at most `windows`."""
    lengths, shares = zip(*((n, share) for n, share in mix.windows if n <= windows), strict=True)
    return int(random.choice(lengths, p=np.array(shares) / sum(shares)))


def draw_scripts(mix: Mix, windows: int, length: int, random: np.random.Generator) -> list[Script]:
    """Scripts of `length` windows each, which add up to at most `windows`."""
    return [draw_script(mix, length, random) for _ in range(windows // length)]


def draw_script(mix: Mix, windows: int, random: np.random.Generator) -> Script:
    """One script of `windows` windows; those too long to be trained whole are mostly of the long split."""
    shares = np.array(mix.splits) / sum(mix.splits)
    if windows > LONGEST_TRAINED and all(mix.splits):
        shares = 0.4 * shares + np.array([0.0, 0.0, 0.6])
    return make_script(int(random.integers(*mix.seeds)), windows, str(random.choice(SPLITS, p=shares)))


def draw_stream(mix: Mix, script: Script, random: np.random.Generator) -> StreamPlan:
    """Turns and slots for a script."""
    loss = _draw_loss(mix, script, random)
    full = loss.past == "stored"
    modality = random.random()
    categories: Sequence[str] | None = None
    video, audio = True, True
    if script.split == "needle" and random.random() >= mix.needles_only:
        categories = EVERYTHING
    if not full and modality < mix.video_only:
        audio, categories = False, VIDEO_CATEGORIES
    elif not full and modality < mix.video_only + mix.audio_only:
        video, categories = False, AUDIO_CATEGORIES
    shape = StreamShape(script.seconds, video, audio, full or bool(random.random() < mix.compressed))
    draws = Draws(script.seed, int(random.integers(2**31)))
    count = int(random.choice(len(mix.turns), p=mix.turns))
    turns = [
        asked
        for cut in sorted(_cuts(shape.seconds, count, 0.0, random).tolist())
        for asked in _ask(mix, script, cut, 1, categories, draws)
    ]
    wanted = min(max(mix.fewest_slots, round(mix.slots_per_window * script.windows)), mix.most_slots)
    # A store's past is that of one moment: the end.
    all_cuts = np.full(wanted, shape.seconds) if full else _cuts(shape.seconds, wanted, mix.at_end, random)
    cuts, repeats = np.unique(all_cuts, return_counts=True)
    slots = [
        asked
        for cut, n in zip(cuts.tolist(), repeats.tolist(), strict=True)
        for part in _parts(n, full)
        for asked in _ask(mix, script, cut, part, categories, draws)
    ]
    if loss.past == "sliding":
        slots = [asked for asked in slots if _within(asked, 2 * round(loss.amount))]
    random.shuffle(slots)
    return StreamPlan(script, shape, turns, slots, loss)


def _within(asked: Asked, seconds: int) -> bool:
    """Whether the last seconds before a question suffice to answer it."""
    if asked.evidence is not None:
        return asked.evidence[0] >= asked.cut - seconds + 2
    return asked.cut <= seconds or asked.category in ("outside", "absent.now")


def _draw_loss(mix: Mix, script: Script, random: np.random.Generator) -> Loss:
    luck, past, amount, limit = random.random(), "whole", 1.0, POSITIONS
    if script.windows > LONGEST_TRAINED:
        past, amount = "stored", STORE_BUDGET * random.uniform(*mix.store)
    elif luck < mix.thinned:
        past, amount = "thinned", _logarithmic(mix.entering, random)
    elif luck < mix.thinned + mix.sliding:
        past, amount = "sliding", max(2.0, script.windows * random.uniform(0.5, 1.0))
    elif luck < mix.thinned + mix.sliding + mix.stored and script.windows >= 8:
        tokens = _WINDOW_TOKENS * script.windows
        past, amount = "stored", max(tokens / _logarithmic(mix.squeeze, random), 4.0 * _WINDOW_TOKENS)
        # A shorter range of positions squeezes a short stream as the real one does a long stream.
        whole = 50 * script.windows
        limit = min(POSITIONS, max(800, round(whole * random.uniform(0.4, 1.6))))
    share = random.random()
    drops = "stream" if share < mix.drops[0] else "slot" if share < sum(mix.drops) else "none"
    # What a store keeps is what is new, which is mostly what covers something.
    salient = (1 + mix.salient) / 2 if past == "stored" else mix.salient
    salience = random.uniform(0.3, 1.0) if random.random() < salient else 0.0
    return Loss(past, amount, limit, salience, drops, mix.forms, mix.keep, mix.spared)


def _parts(count: int, full: bool) -> list[int]:
    """Many questions of one moment are drawn in handfuls, so that some handfuls are of the hard ones."""
    return [12] * (count // 12) + [count % 12] * (count % 12 > 0) if full else [count]


def _logarithmic(bounds: tuple[float, float], random: np.random.Generator) -> float:
    low, high = np.log(bounds)
    return float(np.exp(random.uniform(low, high)))


def _cuts(seconds: int, count: int, at_end: float, random: np.random.Generator) -> NDArray[np.int64]:
    cuts = random.integers(1, seconds + 1, count)
    return np.where(random.random(count) < at_end, seconds, cuts)


def _ask(mix: Mix, script: Script, cut: int, count: int, categories: Sequence[str] | None, draws: Draws) -> list[Asked]:
    if categories is None and draws.chance(mix.hard):
        categories = mix.hard_categories
    found = questions(script, cut, draws, count, categories=categories, phrasing=mix.phrasing, errors=mix.errors)
    return [Asked(cut, qa.text, qa.answer, qa.category, draws.chance(0.5), _evidence(qa)) for qa in found]


def _evidence(qa: QA) -> tuple[int, int] | None:
    if not qa.evidence:
        return None
    start = min(first for first, _ in qa.evidence) // TICKS
    end = -(-max(past for _, past in qa.evidence) // TICKS)
    return (start, end) if end - start <= _WIDEST_EVIDENCE else None
