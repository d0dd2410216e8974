"""Packed scripts to frames: vectorised over streams and times, the same within one step of 255 on every device.

Only elementwise operations, look-ups and bilinear sampling are used, and integer hashes for noise.
"""

from collections.abc import Callable
from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor

from nano_omni.world.backgrounds import MARGIN, draw_backgrounds
from nano_omni.world.entities import MOST_THINGS, TICKS, WINDOW_SECONDS
from nano_omni.world.hashing import scramble
from nano_omni.world.pack import LOOK, SCENE, THING, Packed
from nano_omni.world.shapes import ATLAS_REACH, atlas

FRAME_TICKS = 15
"""Ticks between the frames a model sees: 2 frames a second."""
REFERENCE_SIZE = 168
CHUNK = 256
"""Frames of 168 x 168 drawn at a time, which bounds memory to about 1 GiB."""


def frame_ticks(windows: int) -> Tensor:
    """Return the ticks of the 4 frames of each window, int64 [4 * windows]."""
    return torch.arange(windows * WINDOW_SECONDS * TICKS // FRAME_TICKS) * FRAME_TICKS


@torch.no_grad()
def render(
    packed: Packed,
    device: torch.device | str | None = None,
    *,
    size: int = REFERENCE_SIZE,
    ticks: Tensor | None = None,
    dtype: torch.dtype = torch.float32,
    chunk: int = CHUNK,
) -> Tensor:
    """Draw every stream of a batch at the same times.

    Args:
        packed: B streams.
        device: where to draw; the batch's own device by default.
        size: side of the square frames in pixels.
        ticks: int64 [T], times in 1/30 s; the 2 frames a second of the whole stream by default.
        dtype: arithmetic; float64 is for checking.
        chunk: frames of 168 x 168 to draw at a time.

    Returns:
        uint8 [B, T, size, size, 3], RGB.
    """
    packed = packed if device is None else packed.to(device)
    place = packed.seeds.device
    ticks = (frame_ticks(packed.windows) if ticks is None else ticks).to(place)
    out = torch.empty((len(packed), len(ticks), size, size, 3), dtype=torch.uint8, device=place)
    frames = max(1, chunk * REFERENCE_SIZE**2 // size**2)
    span = min(len(ticks), frames)
    streams = max(1, frames // span)
    for first in range(0, len(packed), streams):
        group = packed[first : first + streams]
        scenes, rows = group.scenes.flatten(0, 1), group.scenes.shape[1]
        pictures = draw_backgrounds(scenes, group.props.flatten(0, 1), group.seeds.repeat_interleave(rows), dtype)
        for at in range(0, len(ticks), span):
            drawn = _draw(group, pictures, ticks[at : at + span], size, dtype)
            out[first : first + streams, at : at + span] = drawn
    return out


def _draw(group: Packed, pictures: Tensor, ticks: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    """Draw T frames of each of G streams, uint8 [G, T, size, size, 3]."""
    streams, rows = group.scenes.shape[:2]
    showing = (group.scenes[:, None, :, SCENE["start"]] <= ticks[None, :, None]).sum(-1) - 1
    row = (showing + rows * torch.arange(streams, device=ticks.device)[:, None]).flatten()
    looks = group.looks.to(dtype).repeat_interleave(len(ticks), 0)
    scenes = group.scenes.flatten(0, 1)[row].to(dtype)
    things = group.things.flatten(0, 1)[row].to(dtype)
    when, seeds = ticks.repeat(streams), group.seeds.repeat_interleave(len(ticks))
    frames = _paint(pictures[row], looks, scenes, things, when, seeds, size, dtype)
    return frames.reshape(streams, len(ticks), size, size, 3)


def _paint(
    pictures: Tensor,
    looks: Tensor,
    scenes: Tensor,
    things: Tensor,
    ticks: Tensor,
    seeds: Tensor,
    size: int,
    dtype: torch.dtype,
) -> Tensor:
    """Paint N unrelated frames, uint8 [N, size, size, 3]; every table has a row for each frame."""
    look = _columns(looks, LOOK, 1)
    scene = _columns(scenes, SCENE, 1)
    seconds = ticks.to(dtype) / TICKS

    axis = (torch.arange(size, device=ticks.device, dtype=dtype) + 0.5) / size
    shift_x, shift_y = _shake(look, seconds, seeds)
    x = (axis - 0.5) / look("zoom") + 0.5 + shift_x
    y = (axis - 0.5) / look("zoom") + 0.5 + shift_y
    x, y = x[:, None, :], y[:, :, None]
    edge = size / (look("softness") * max(size / REFERENCE_SIZE, 1.0)).unsqueeze(-1)

    image = _sample(pictures, x, y)
    image = torch.lerp(image, _colour(scene, "sheet"), _sheet(scene, x, y, edge)[:, None])
    image = _add_things(image, things, seconds - scenes[:, SCENE["start"]] / TICKS, x, y, edge)
    image = torch.lerp(image, _colour(scene, "hand"), _hand(scene, x, y, edge)[:, None])
    image = _expose(image, look, seconds, axis)
    image = image + _grain(seeds, ticks, size, dtype) * look("grain")[:, :, None, None]
    return (image.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(0, 2, 3, 1)


def _columns(table: Tensor, index: dict[str, int], trailing: int) -> Callable[[str], Tensor]:
    """Return a look-up of a table's columns by name, with `trailing` dimensions appended to broadcast over pixels."""

    def column(name: str) -> Tensor:
        values = table[..., index[name]]
        return values.reshape(*values.shape, *([1] * trailing))

    return column


def _colour(row: Callable[[str], Tensor], prefix: str) -> Tensor:
    """Return the colour columns of a prefix as [N, 3, 1, 1]."""
    return torch.stack([row(f"{prefix}_{channel}") for channel in ("red", "green", "blue")], 1)[..., None]


def _shake(look: Callable[[str], Tensor], seconds: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor]:
    """Return the camera's sideways and up-down shift at each time, [N, 1] each: slow sines."""
    turn = 2 * pi * look("shake_rate") * seconds[:, None]
    phase = (seeds & 0xFF).to(seconds.dtype)[:, None]
    across = torch.sin(turn + phase) + 0.4 * torch.sin(2.7 * turn + 2 * phase)
    down = torch.sin(1.3 * turn + 3 * phase) + 0.4 * torch.sin(2.1 * turn + phase)
    return look("shake") * across / 1.4, look("shake") * down / 1.4


def _sample(pictures: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Look backgrounds [N, 3, h, w] up at world positions x [N, 1, W], y [N, H, 1]: [N, 3, H, W]."""
    shape = (x.shape[0], y.shape[1], x.shape[2])
    across, down = (x - 0.5) / (0.5 + MARGIN), (y - 0.5) / (0.5 + MARGIN)
    grid = torch.stack([across.expand(shape), down.expand(shape)], -1)
    return F.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _sheet(scene: Callable[[str], Tensor], x: Tensor, y: Tensor, edge: Tensor) -> Tensor:
    """Return the cover of the paper or screen, [N, H, W]."""
    right, below = x - scene("sheet_x")[..., None], y - scene("sheet_y")[..., None]
    cos, sin = scene("sheet_cos")[..., None], scene("sheet_sin")[..., None]
    outside = torch.maximum(
        (right * cos + below * sin).abs() - scene("sheet_w")[..., None],
        (below * cos - right * sin).abs() - scene("sheet_h")[..., None],
    )
    return (0.5 - outside * edge).clamp(0, 1) * scene("sheet")[..., None]


def _add_things(image: Tensor, things: Tensor, since: Tensor, x: Tensor, y: Tensor, edge: Tensor) -> Tensor:
    """Draw the objects over the frames; `since` is the time since each frame's scene began, [N] in seconds."""
    distances = atlas().to(image)
    for slot in range(MOST_THINGS):
        thing = _columns(things[:, slot], THING, 2)
        radius = thing("radius").clamp(min=1e-3)
        right = (x - thing("x") - thing("speed_x") * since.view(-1, 1, 1)) / radius
        below = (y - thing("y") - thing("speed_y") * since.view(-1, 1, 1)) / radius
        # Turned by the object's angle; every term but the sums has one row or one column a frame, so it costs little.
        cos, sin, tilt_x, tilt_y = thing("cos"), thing("sin"), thing("tilt_x"), thing("tilt_y")
        depth = right * (tilt_x * cos - tilt_y * sin) + below * (tilt_x * sin + tilt_y * cos)
        depth = (1 + depth).clamp(min=0.5) * ATLAS_REACH
        across = (right * (cos / thing("stretch")) + below * (sin / thing("stretch"))) / depth
        down = (below * (cos * thing("stretch")) - right * (sin * thing("stretch"))) / depth
        outlines = distances[things[:, slot, THING["shape"]].long()][:, None]
        grid = torch.stack([across, down], -1)
        outside = F.grid_sample(outlines, grid, mode="bilinear", padding_mode="border", align_corners=True)[:, 0]
        cover = (0.5 - outside * (radius * edge)).clamp(0, 1) * thing("there")
        light = 1 - thing("shade") / 2 * (ATLAS_REACH * down + 1)
        colour = things[:, slot, THING["red"] : THING["blue"] + 1, None, None] * light[:, None]
        image = torch.lerp(image, colour, cover[:, None])
    return image


def _hand(scene: Callable[[str], Tensor], x: Tensor, y: Tensor, edge: Tensor) -> Tensor:
    """Return the cover of the arm and its thumb, [N, H, W]."""

    def capsule(start: str, end: str, radius: Tensor) -> Tensor:
        from_x, from_y = scene(f"{start}_x")[..., None], scene(f"{start}_y")[..., None]
        along_x, along_y = scene(f"{end}_x")[..., None] - from_x, scene(f"{end}_y")[..., None] - from_y
        right, below = x - from_x, y - from_y
        share = (right * along_x + below * along_y) / (along_x**2 + along_y**2).clamp(min=1e-6)
        share = share.clamp(0, 1)
        return torch.sqrt((right - share * along_x) ** 2 + (below - share * along_y) ** 2) - radius

    radius = scene("hand_radius")[..., None]
    outside = torch.minimum(capsule("from", "to", radius), capsule("to", "tip", 0.35 * radius))
    return (0.5 - outside * edge).clamp(0, 1) * scene("hand")[..., None]


def _expose(image: Tensor, look: Callable[[str], Tensor], seconds: Tensor, axis: Tensor) -> Tensor:
    """Apply tint, drifting exposure, vignette and haze."""
    swing = 1 + look("drift") * torch.sin(2 * pi * look("drift_rate") * seconds[:, None])
    gain = torch.stack([look(channel) for channel in ("red", "green", "blue")], 1) * (look("exposure") * swing)[:, None]
    off_centre = (axis[None, None, :] - 0.5) ** 2 + (axis[None, :, None] - 0.5) ** 2
    light = 1 - 2 * look("vignette")[..., None] * off_centre
    return image * (light[:, None] * gain[..., None]) + look("lift")[..., None, None]


def _grain(seeds: Tensor, ticks: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    """Return the sensor's noise in [-1, 1) of N frames, [N, 3, size, size]: three fields of one hash a pixel."""
    frame = seeds * 7919 + ticks
    start = scramble((frame & 0x7FFFFFFF).to(torch.int32))[:, None, None]
    words = scramble(start + torch.arange(size * size, dtype=torch.int32, device=seeds.device).view(1, size, size))
    shifts = torch.tensor([1, 11, 21], dtype=torch.int32, device=seeds.device).view(1, 3, 1, 1)
    return ((words[:, None] >> shifts) & 1023).to(dtype) / 512 - 1
