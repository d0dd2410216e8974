"""The words of the scene world and the colours they stand for.

Every colour is a segment in RGB (a dark and a light end, each in [0, 1]); an object takes a point of it. The segments
are chosen so that a colour keeps its name under every tint and exposure of `appearance.py`; a test proves it.
"""

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "white", "black")
SHAPES = ("circle", "square", "triangle", "star", "cross", "heart")
PLACES = ("top left", "top", "top right", "left", "centre", "right", "bottom left", "bottom", "bottom right")
MOTIONS = ("still", "left", "right", "up", "down")
SOUNDS = ("beep", "bell", "buzz", "chirp", "siren", "knock", "noise", "horn")
BACKGROUNDS = ("plain", "gradient", "noisy", "stripes", "checks", "dots", "room")
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six")

SMALL_UP_TO = 0.17
"""Objects of at most this diameter (share of the frame's side) are called small."""
LARGE_FROM = 0.25
"""Objects of at least this diameter are called large; between the two no size question is asked."""

Rgb = tuple[float, float, float]

COLOUR_ENDS: dict[str, tuple[Rgb, Rgb]] = {
    "red": ((0.70, 0.03, 0.06), (0.95, 0.20, 0.17)),
    "orange": ((0.94, 0.44, 0.02), (1.00, 0.56, 0.14)),
    "yellow": ((0.94, 0.81, 0.05), (1.00, 0.95, 0.33)),
    "green": ((0.04, 0.42, 0.13), (0.33, 0.82, 0.30)),
    "blue": ((0.06, 0.12, 0.55), (0.18, 0.46, 0.95)),
    "purple": ((0.38, 0.08, 0.55), (0.64, 0.28, 0.85)),
    "white": ((0.90, 0.90, 0.90), (1.00, 1.00, 1.00)),
    "black": ((0.02, 0.02, 0.02), (0.12, 0.12, 0.12)),
}


def a_sound(kind: str) -> str:
    """Name a sound with its article: "a bell", but "noise"."""
    return kind if kind == "noise" else f"a {kind}"


def place_of(x: float, y: float) -> str:
    """Name the cell of the 3 x 3 grid over the frame that holds the point (x, y), both in [0, 1)."""
    return PLACES[3 * min(2, int(3 * y)) + min(2, int(3 * x))]
