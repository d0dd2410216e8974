"""How camera and room make a stream look and sound: drawn once a stream, bounded so that colours keep their names."""

from math import sqrt

from nano_omni.world.draws import Draws
from nano_omni.world.entities import Appearance
from nano_omni.world.vocabulary import COLOUR_ENDS, Rgb

TINTS: tuple[Rgb, ...] = ((1.06, 1.0, 0.80), (0.90, 1.0, 1.08), (0.97, 1.03, 0.94))
"""Gains of a lamp, of daylight and of fluorescent tubes at full strength."""
EXPOSURES = (0.66, 1.10)
"""Darkest and brightest, the drift included."""
MOST_LIFT = 0.15
SKINS: tuple[Rgb, ...] = (
    (0.95, 0.80, 0.70),
    (0.87, 0.67, 0.54),
    (0.70, 0.50, 0.38),
    (0.50, 0.34, 0.25),
    (0.33, 0.22, 0.17),
)
HAIRS: tuple[Rgb, ...] = ((0.08, 0.06, 0.05), (0.25, 0.16, 0.10), (0.45, 0.32, 0.20), (0.75, 0.66, 0.50))
QUIETEST_SHARE = 0.25
"""Most that hiss and hum may reach, relative to the quietest event of the stream."""


def draw_appearance(draws: Draws, quietest: float) -> Appearance:
    """Draw a stream's look; `quietest` is the level of its faintest sound event, which the noise stays well below."""
    tint: Rgb = (1.0, 1.0, 1.0)
    if draws.chance(0.45):
        full, strength = draws.choice(TINTS), draws.unit()
        tint = (1 + (full[0] - 1) * strength, 1 + (full[1] - 1) * strength, 1 + (full[2] - 1) * strength)
    drift = draws.uniform(0.01, 0.10) if draws.chance(0.5) else 0.0
    exposure = draws.uniform(EXPOSURES[0], EXPOSURES[1] - 0.02) if draws.chance(0.5) else 1.0
    exposure = min(max(exposure, EXPOSURES[0] / (1 - drift)), EXPOSURES[1] / (1 + drift))
    return Appearance(
        tint=tint,
        exposure=exposure,
        drift=drift,
        drift_rate=draws.uniform(0.03, 0.3),
        lift=draws.uniform(0.0, MOST_LIFT) if draws.chance(0.3) else 0.0,
        vignette=draws.uniform(0.0, 0.22) if draws.chance(0.5) else 0.0,
        grain=draws.uniform(0.002, 0.02) if draws.chance(0.7) else draws.uniform(0.02, 0.07),
        softness=draws.uniform(1.0, 2.5) if draws.chance(0.8) else draws.uniform(2.5, 4.0),
        shake=draws.uniform(0.0, 0.006) if draws.chance(0.7) else draws.uniform(0.006, 0.012),
        shake_rate=draws.uniform(0.2, 1.2),
        zoom=draws.uniform(0.98, 1.02),
        **_microphone(draws, quietest),
    )


def _microphone(draws: Draws, quietest: float) -> dict[str, float]:
    """Draw the noise of the room and the microphone's gain."""
    ceiling = QUIETEST_SHARE * quietest
    loud = draws.chance(0.35)
    return {
        "hiss": ceiling * (draws.uniform(0.3, 1.0) if loud else draws.unit() ** 3 * 0.3),
        "hiss_colour": draws.unit(),
        "hum": ceiling * draws.uniform(0.1, 0.6) if draws.chance(0.2) else 0.0,
        "hum_rate": draws.choice((50.0, 60.0)),
        "gain": draws.uniform(1.5, 5.0) if draws.chance(0.12) else 1.0,
    }


def shown(rgb: Rgb, look: Appearance, exposure: float) -> Rgb:
    """Return a colour as the camera shows it at an exposure, before vignette and grain."""
    red, green, blue = (
        min(1.0, max(0.0, value * gain * exposure + look.lift)) for value, gain in zip(rgb, look.tint, strict=True)
    )
    return red, green, blue


def draw_colour(draws: Draws, name: str) -> Rgb:
    """Draw a point of the named colour's segment, with a little play a channel."""
    dark, light = COLOUR_ENDS[name]
    along = draws.unit()
    red, green, blue = (
        min(1.0, max(0.0, low + (high - low) * along + draws.uniform(-0.015, 0.015)))
        for low, high in zip(dark, light, strict=True)
    )
    return red, green, blue


def draw_surround(draws: Draws) -> Rgb:
    """Draw a colour for walls and backgrounds: light, dark, or muted."""
    style = draws.unit()
    if style < 0.35:
        value, spread = draws.uniform(0.72, 0.99), 0.05
    elif style < 0.6:
        value, spread = draws.uniform(0.04, 0.28), 0.03
    else:
        value, spread = draws.uniform(0.3, 0.75), 0.13
    red, green, blue = (min(1.0, max(0.0, value + draws.uniform(-spread, spread))) for _ in range(3))
    return red, green, blue


def distance(one: Rgb, other: Rgb) -> float:
    """Distance of two colours in [0, sqrt 3]: Euclidean in RGB, green weighing most and blue least, as for the eye."""
    red, green, blue = (a - b for a, b in zip(one, other, strict=True))
    return sqrt(0.9 * red * red + 1.5 * green * green + 0.6 * blue * blue)
