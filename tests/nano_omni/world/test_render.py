"""Frames: repeatable, true to the script, and the same in single and double precision."""

import pickle

import pytest
import torch

from nano_omni.world import Scene, Script, make_script, pack, render
from nano_omni.world.appearance import distance, shown
from nano_omni.world.clip import render_stream
from nano_omni.world.entities import TICKS

DENSE = [make_script(seed, 2) for seed in (3, 8)]


def test_frames_are_repeatable_and_independent_of_their_batch() -> None:
    together = render(pack(DENSE))
    assert together.shape == (2, 8, 168, 168, 3)
    assert together.dtype == torch.uint8
    assert torch.equal(render(pack(DENSE[1:]), chunk=3)[0], together[1])
    assert torch.equal(render(pickle.loads(pickle.dumps(pack(DENSE)))[:1]), together[:1])


def test_precision_moves_no_pixel_by_more_than_a_step() -> None:
    scripts = [make_script(seed, 1, split) for seed in (1, 2, 11) for split in ("dense", "needle")]
    ticks = torch.tensor([0, 45])
    single = render(pack(scripts), ticks=ticks).int()
    double = render(pack(scripts), ticks=ticks, dtype=torch.float64).int()
    moved = (single - double).abs()
    assert moved.max() <= 1
    assert (moved > 0).double().mean() < 1e-3


def test_a_clip_holds_the_frames_a_model_sees() -> None:
    script = DENSE[0]
    seen = render(pack([script]), size=56)[0]
    clip = torch.stack([torch.from_numpy(frame) for frame in render_stream(script, 56, fps=6)])
    assert len(clip) == 24
    assert torch.equal(clip[::3], seen)
    with pytest.raises(ValueError, match="divide 30"):
        next(render_stream(script, 56, fps=25))


def middles(script: Script) -> list[tuple[Scene, int]]:
    ends = [min(scene.end, script.seconds * TICKS) for scene in script.scenes]
    return [(scene, (scene.start + end) // 2) for scene, end in zip(script.scenes, ends, strict=True)]


@pytest.mark.parametrize("split", ["dense", "needle"])
def test_objects_are_where_the_script_says_in_their_colour(split: str) -> None:
    size = 84
    for seed in range(20, 28):
        script = make_script(seed, 6, split)
        scenes = middles(script)
        frames = render(pack([script]), size=size, ticks=torch.tensor([tick for _, tick in scenes]))[0].float() / 255
        look = script.appearance
        for (scene, tick), frame in zip(scenes, frames, strict=True):
            for thing in scene.things:
                x, y = (round(size * at) for at in thing.at((tick - scene.start) / TICKS))
                red, green, blue = frame[y - 1 : y + 1, x - 1 : x + 1].mean((0, 1)).tolist()
                expected = shown(thing.rgb, look, look.exposure)
                assert distance((red, green, blue), expected) < 0.34, (seed, thing.name)


def test_packs_are_of_one_length() -> None:
    with pytest.raises(ValueError, match="same number of windows"):
        pack([make_script(1, 2), make_script(1, 3)])
    with pytest.raises(ValueError, match="one or more"):
        pack([])
    packed = pack([make_script(seed, 5) for seed in range(3)])
    assert len(packed) == 3
    assert packed.things.shape[:2] == packed.sounds.shape[:2] == (3, 6)
