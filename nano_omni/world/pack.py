"""Scripts to padded tensors of constant shape, ready for the renderer and the synthesiser on any device."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from nano_omni.world.entities import MOST_PROPS, MOST_THINGS, Hand, Prop, Scene, Script, Sound, Thing
from nano_omni.world.vocabulary import BACKGROUNDS, SHAPES, SOUNDS


def _index(*names: str) -> dict[str, int]:
    """Number the columns of a table."""
    return {name: at for at, name in enumerate(names)}


_RGB = ("red", "green", "blue")
THING = _index(
    "there",
    "shape",
    "x",
    "y",
    "speed_x",
    "speed_y",
    "radius",
    *_RGB,
    "cos",
    "sin",
    "stretch",
    "tilt_x",
    "tilt_y",
    "shade",
)
SCENE = _index(
    *("start", "kind", "red1", "green1", "blue1", "red2", "green2", "blue2", "angle", "scale", "phase"),
    *("sheet", "sheet_x", "sheet_y", "sheet_w", "sheet_h", "sheet_cos", "sheet_sin"),
    *("sheet_red", "sheet_green", "sheet_blue"),
    *("hand", "from_x", "from_y", "to_x", "to_y", "tip_x", "tip_y", "hand_radius"),
    *("hand_red", "hand_green", "hand_blue"),
)
PROP = _index("there", "x", "y", "half_w", "half_h", *_RGB, "round")
SOUND = _index("there", "kind", "start", "duration", "pitch", "level", "colour")
LOOK = _index(
    *(*_RGB, "exposure", "drift", "drift_rate", "lift", "vignette", "grain", "softness", "shake", "shake_rate", "zoom"),
    *("hiss", "hiss_colour", "hum", "hum_rate", "gain"),
)
NEVER = 2.0**24
"""Start tick of the scenes that only fill the table up."""


@dataclass(frozen=True)
class Packed:
    """A batch of scripts. `S = windows + 1` scenes and sounds a stream; unused rows are zero and never start."""

    windows: int
    seeds: Tensor
    """int64 [B], below 2**31."""
    looks: Tensor
    """float32 [B, len(LOOK)]."""
    scenes: Tensor
    """float32 [B, S, len(SCENE)], ordered by start tick."""
    props: Tensor
    """float32 [B, S, MOST_PROPS, len(PROP)]."""
    things: Tensor
    """float32 [B, S, MOST_THINGS, len(THING)]."""
    sounds: Tensor
    """float32 [B, S, len(SOUND)]."""

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "Packed":
        """Return the same batch on another device."""
        moved = (getattr(self, name).to(device, non_blocking=non_blocking) for name in self._tensors())
        return Packed(self.windows, *moved)

    def __getitem__(self, rows: slice) -> "Packed":
        """Return some of the streams."""
        return Packed(self.windows, *(getattr(self, name)[rows] for name in self._tensors()))

    def __len__(self) -> int:
        """Return the number of streams."""
        return self.seeds.shape[0]

    @staticmethod
    def _tensors() -> list[str]:
        return [field.name for field in fields(Packed)[1:]]


def pack(scripts: Sequence[Script]) -> Packed:
    """Lay scripts of one length out as tensors on the CPU.

    Raises:
        ValueError: no scripts, or of different lengths.
    """
    if not scripts or len({script.windows for script in scripts}) != 1:
        raise ValueError("pack takes one or more scripts of the same number of windows")
    windows = scripts[0].windows
    batch, rows = len(scripts), windows + 1
    looks = np.zeros((batch, len(LOOK)), np.float32)
    scenes = np.zeros((batch, rows, len(SCENE)), np.float32)
    scenes[:, :, SCENE["start"]] = NEVER
    props = np.zeros((batch, rows, MOST_PROPS, len(PROP)), np.float32)
    things = np.zeros((batch, rows, MOST_THINGS, len(THING)), np.float32)
    sounds = np.zeros((batch, rows, len(SOUND)), np.float32)
    for at, script in enumerate(scripts):
        looks[at] = _look_row(script)
        for row, scene in enumerate(script.scenes):
            scenes[at, row] = _scene_row(scene)
            for slot, prop in enumerate(scene.background.props):
                props[at, row, slot] = _prop_row(prop)
            for slot, thing in enumerate(scene.things):
                things[at, row, slot] = _thing_row(thing)
        for row, sound in enumerate(script.sounds):
            sounds[at, row] = _sound_row(sound)
    seeds = torch.tensor([script.seed & 0x7FFFFFFF for script in scripts], dtype=torch.int64)
    return Packed(windows, seeds, *(torch.from_numpy(table) for table in (looks, scenes, props, things, sounds)))


def _look_row(script: Script) -> tuple[float, ...]:
    look = script.appearance
    return (
        *look.tint, look.exposure, look.drift, look.drift_rate, look.lift, look.vignette, look.grain, look.softness,
        look.shake, look.shake_rate, look.zoom, look.hiss, look.hiss_colour, look.hum, look.hum_rate, look.gain,
    )  # fmt: skip


def _prop_row(prop: Prop) -> tuple[float, ...]:
    return (1, prop.x, prop.y, prop.half_width, prop.half_height, *prop.rgb, prop.is_round)


def _thing_row(thing: Thing) -> tuple[float, ...]:
    return (
        1, SHAPES.index(thing.shape), thing.x, thing.y, thing.speed_x, thing.speed_y, thing.size / 2, *thing.rgb,
        np.cos(thing.angle), np.sin(thing.angle), thing.stretch, thing.tilt_x, thing.tilt_y, thing.shade,
    )  # fmt: skip


def _scene_row(scene: Scene) -> tuple[float, ...]:
    back, sheet = scene.background, scene.sheet
    head = (
        scene.start, BACKGROUNDS.index(back.kind), *back.first, *back.second, back.angle, back.scale, back.phase,
    )  # fmt: skip
    paper: tuple[float, ...] = (0,) * 10
    if sheet is not None:
        turn = (np.cos(sheet.angle), np.sin(sheet.angle))
        paper = (1, sheet.x, sheet.y, sheet.half_width, sheet.half_height, *turn, *sheet.rgb)
    return (*head, *paper, *_hand_row(scene.hand))


def _hand_row(hand: Hand | None) -> tuple[float, ...]:
    if hand is None:
        return (0,) * 11
    arm = np.arctan2(hand.to_y - hand.from_y, hand.to_x - hand.from_x) + hand.thumb
    tip = (hand.to_x + 1.3 * hand.radius * np.cos(arm), hand.to_y + 1.3 * hand.radius * np.sin(arm))
    return (1, hand.from_x, hand.from_y, hand.to_x, hand.to_y, *tip, hand.radius, *hand.rgb)


def _sound_row(sound: Sound) -> tuple[float, ...]:
    return (1, SOUNDS.index(sound.kind), sound.start, sound.duration, sound.pitch, sound.level, sound.colour)
