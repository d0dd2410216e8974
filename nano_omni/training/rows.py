"""The rows of the evaluation table: which streams, which questions, which damage, what is left of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nano_omni.training.augment import CLEAN, Damage
from nano_omni.training.mix import EVALUATION_SEEDS, Mix
from nano_omni.world.entities import ACCEPTANCE_SEEDS

LENGTHS = (4, 8, 16, 32, 64)
NEEDLE_LENGTHS = (16, 32, 64)
DEEP_SHARES = (0.3, 0.1)
ENTERING = (0.45, 0.3)
WORD_ERRORS = (0.05, 0.1, 0.2)
# A compressed second pair of windows is 127 of 244 tokens, so this share of them is all that can reach the deep half.
COMPRESSED_SHARE = 127 / 244

_CONDITIONS = {
    "brightness": "light",
    "camera noise": "camera_noise",
    "letterbox": "box",
    "frozen frames": "freeze",
    "codec": "codec",
    "speech": "speech",
    "audio noise": "noise",
    "clipping": "clipping",
    "band limit": "band",
    "coding noise": "coding_noise",
    "packet loss": "packet_loss",
}

_EXAM = Mix(
    splits=(1.0, 0.0, 0.0),
    compressed=1.0,
    video_only=0.0,
    audio_only=0.0,
    turns=(1.0,),
    slots_per_window=3.0,
    fewest_slots=24,
    at_end=1.0,
    hard=0.0,
    needles_only=1.0,
    spared=0.0,
    salient=0.0,
    seeds=(EVALUATION_SEEDS, ACCEPTANCE_SEEDS),
)
_NEEDLE, _LONG = (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
_FLAT = (1.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    mix: Mix
    damage: Damage = CLEAN


def _at(windows: int, **changes: object) -> Mix:
    return replace(_EXAM, windows=((windows, 1.0),), **changes)  # type: ignore[arg-type]


def main_rows(lengths: tuple[int, ...] = LENGTHS) -> list[Row]:
    """Whole streams of each length, all tokens and compressed, no damage beyond what the world itself draws."""
    return [
        Row(f"{name} {windows}", _at(windows, compressed=share))
        for name, share in (("all tokens", 0.0), ("compressed", 1.0))
        for windows in lengths
    ]


def pruning_rows(windows: int = 16) -> list[Row]:
    """Needles, and what drops and full stores leave."""
    rows = [
        Row(f"needle {name} {length}", _at(length, splits=_NEEDLE, compressed=share))
        for name, share in (("all tokens", 0.0), ("compressed", 1.0))
        for length in NEEDLE_LENGTHS
    ]
    for split, splits in (("", (1.0, 0.0, 0.0)), ("needle ", _NEEDLE)):
        live = _at(windows, splits=splits)
        rows += [
            Row(
                f"{split}deep {100 * share:.0f} % {windows}",
                replace(live, drops=(1.0, 0.0), forms=_FLAT, keep=(share / COMPRESSED_SHARE,) * 2),
            )
            for share in DEEP_SHARES
        ]
        rows += [
            Row(
                f"{split}random at the input {100 * share:.0f} % {windows}",
                replace(live, compressed=0.0, thinned=1.0, entering=(share, share)),
            )
            for share in ENTERING
        ]
    # Tokens that cover something are kept first, as eviction by novelty tries to.
    full = replace(_at(64, stored=1.0, squeeze=(4.0, 4.0)), salient=1.0)
    rows.append(Row("stored, 4 tokens for one of the budget 64", full))
    long = replace(_EXAM, splits=_LONG, salient=1.0, store=(1.0, 1.0))
    rows.append(Row("long, compressed 64", replace(long, windows=((64, 1.0),))))
    rows += [Row(f"long, stored {length}", replace(long, windows=((length, 1.0),))) for length in (128, 256)]
    return rows


def condition_rows(windows: int = 16) -> list[Row]:
    """One live condition a row, compressed streams."""
    live = _at(windows)
    rows = [Row(f"{name} {windows}", live, replace(CLEAN, **{effect: 1.0})) for name, effect in _CONDITIONS.items()]
    rows.append(Row(f"everything {windows}", live, Damage()))
    rows.append(Row(f"held-out phrasings {windows}", replace(live, phrasing="held_out")))
    rows += [
        Row(f"word errors {100 * rate:.0f} % {windows}", replace(live, phrasing="canonical", errors=rate))
        for rate in (0.0, *WORD_ERRORS)
    ]
    rows += [
        Row(f"any moment, turns {windows}", replace(live, at_end=0.1, turns=(0.0, 0.3, 0.3, 0.4))),
        Row(f"video only {windows}", replace(live, video_only=1.0)),
        Row(f"audio only {windows}", replace(live, audio_only=1.0)),
    ]
    return rows


def all_rows() -> list[Row]:
    """The whole table."""
    return [*main_rows(), *pruning_rows(), *condition_rows()]
