"""What happens in a stream: the script that pixels, samples and answers are all made from.

Times are whole ticks of 1/30 s, so that a clip of 30 frames a second holds exactly the frames that a model sees at 2
frames a second. Lengths are shares of the frame's side; x runs right and y down from the top left corner.

Seeds from `ACCEPTANCE_SEEDS` on are reserved for acceptance: nothing is ever trained or tuned on them.
"""

from dataclasses import dataclass

from nano_omni.world.vocabulary import Rgb

TICKS = 30
"""Ticks in a second."""
WINDOW_SECONDS = 2
ACCEPTANCE_SEEDS = 9_000_000
SPLITS = ("dense", "needle", "long")
MOST_THINGS = 3
MOST_PROPS = 8


@dataclass(frozen=True, slots=True)
class Thing:
    """One object of a scene; its truth first, then how it is drawn."""

    shape: str
    colour: str
    place: str
    """Cell of the 3 x 3 grid; of a moving object, where it starts."""
    motion: str
    size: float
    """Diameter."""
    x: float
    y: float
    speed_x: float
    """Sides per second."""
    speed_y: float
    rgb: Rgb
    angle: float
    """Rotation in radians, small enough to keep a square apart from a diamond."""
    stretch: float
    """Width over height, near 1."""
    tilt_x: float
    """Perspective: growth of depth across one radius."""
    tilt_y: float
    shade: float
    """Relative loss of light from the object's top to its bottom."""

    @property
    def name(self) -> str:
        """Colour and shape, which tell it apart from everything else in its scene."""
        return f"{self.colour} {self.shape}"

    def at(self, seconds: float) -> tuple[float, float]:
        """Return its centre, `seconds` after the start of its scene."""
        return self.x + self.speed_x * seconds, self.y + self.speed_y * seconds


@dataclass(frozen=True, slots=True)
class Prop:
    """A piece of the background: furniture is a box, a head is round."""

    x: float
    y: float
    half_width: float
    half_height: float
    rgb: Rgb
    is_round: bool = False


@dataclass(frozen=True, slots=True)
class Background:
    """What is behind the objects."""

    kind: str
    first: Rgb
    second: Rgb
    angle: float
    scale: float
    """Repeats of the pattern, or cells of the noise, across the frame."""
    phase: float
    props: tuple[Prop, ...] = ()


@dataclass(frozen=True, slots=True)
class Sheet:
    """Paper or a screen that carries a scene's objects before a cluttered background."""

    x: float
    y: float
    half_width: float
    half_height: float
    angle: float
    rgb: Rgb


@dataclass(frozen=True, slots=True)
class Hand:
    """An arm that enters from the frame's edge: a capsule and a thumb, never over an object."""

    from_x: float
    from_y: float
    to_x: float
    to_y: float
    radius: float
    thumb: float
    """Direction of the thumb relative to the arm, radians."""
    rgb: Rgb


@dataclass(frozen=True, slots=True)
class Scene:
    """What is visible from tick `start` until tick `end`."""

    start: int
    end: int
    things: tuple[Thing, ...]
    background: Background
    sheet: Sheet | None = None
    hand: Hand | None = None


@dataclass(frozen=True, slots=True)
class Sound:
    """One sound event."""

    kind: str
    start: int
    """Tick."""
    duration: int
    """Ticks."""
    pitch: float
    """Hz; for noise, where it is brightest."""
    level: float
    """Peak amplitude in (0, 1]."""
    colour: float
    """In [0, 1): varies the timbre within what the kind allows."""

    @property
    def end(self) -> int:
        """First tick after it."""
        return self.start + self.duration


@dataclass(frozen=True, slots=True)
class Appearance:
    """How camera and microphone see a whole stream."""

    tint: Rgb
    exposure: float
    drift: float
    """Relative swing of the exposure over time."""
    drift_rate: float
    """Hz."""
    lift: float
    """Light added everywhere: haze, glare."""
    vignette: float
    grain: float
    """Amplitude of the sensor's noise."""
    softness: float
    """Width of an edge in pixels of a frame of 168."""
    shake: float
    shake_rate: float
    """Hz."""
    zoom: float
    hiss: float
    """Amplitude of the background noise; its colour in [0, 1] follows."""
    hiss_colour: float
    hum: float
    hum_rate: float
    """Hz: the mains."""
    gain: float
    """Amplification before samples are clipped to [-1, 1]."""


@dataclass(frozen=True, slots=True)
class Script:
    """A whole stream of `windows` windows of 2 s."""

    seed: int
    windows: int
    split: str
    scenes: tuple[Scene, ...]
    sounds: tuple[Sound, ...]
    """In order of time; they never overlap."""
    appearance: Appearance

    @property
    def seconds(self) -> int:
        """Length."""
        return WINDOW_SECONDS * self.windows
