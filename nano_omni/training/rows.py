"""The rows of the evaluation table: which streams, which questions, which damage."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nano_omni.training.augment import CLEAN, Damage
from nano_omni.training.mix import EVALUATION_SEEDS, Mix
from nano_omni.world.entities import ACCEPTANCE_SEEDS

LENGTHS = (4, 8, 16, 24, 32)
DEEP_SHARES = (0.3, 0.1)
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
    needle=0.0,
    compressed=1.0,
    video_only=0.0,
    audio_only=0.0,
    turns=(1.0,),
    slots_per_window=3.0,
    fewest_slots=24,
    at_end=1.0,
    drops=(0.0, 0.0),
    hard=0.0,
    seeds=(EVALUATION_SEEDS, ACCEPTANCE_SEEDS),
)


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


def condition_rows(windows: int = 16) -> list[Row]:
    """One live condition a row, compressed streams."""
    live = _at(windows)
    rows = [Row(f"{name} {windows}", live, replace(CLEAN, **{effect: 1.0})) for name, effect in _CONDITIONS.items()]
    rows.append(Row(f"everything {windows}", live, Damage()))
    rows += [
        Row(
            f"deep {round(100 * share)} % {windows}",
            replace(live, drops=(1.0, 0.0), keep=(share / COMPRESSED_SHARE,) * 2),
        )
        for share in DEEP_SHARES
    ]
    rows += [
        Row(f"needle {windows}", replace(live, needle=1.0)),
        Row(f"needle all tokens {windows}", replace(live, needle=1.0, compressed=0.0)),
        Row(f"held-out phrasings {windows}", replace(live, phrasing="held_out")),
        Row(f"any moment, turns {windows}", replace(live, at_end=0.1, turns=(0.0, 0.3, 0.3, 0.4))),
        Row(f"video only {windows}", replace(live, video_only=1.0)),
        Row(f"audio only {windows}", replace(live, audio_only=1.0)),
    ]
    return rows
