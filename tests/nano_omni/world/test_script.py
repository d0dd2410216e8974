"""Scripts: the same everywhere, and nothing in them that a human could not tell."""

import colorsys
import hashlib
from collections import Counter
from dataclasses import replace
from itertools import combinations, pairwise, product

import pytest

from nano_omni.evidence import cover_of
from nano_omni.world import SPLITS, Draws, Scene, Script, make_script
from nano_omni.world.appearance import EXPOSURES, MOST_LIFT, TINTS, shown
from nano_omni.world.entities import TICKS, Appearance
from nano_omni.world.ranges import GAP
from nano_omni.world.vocabulary import COLOUR_ENDS, Rgb, place_of

SCRIPTS = [make_script(seed, windows, split) for split in SPLITS for windows in (1, 9) for seed in range(60)]
PINNED = [0.830267572835, 0.372701539522, 0.933957059226]
TRUTH = {("dense", 7): "3358e883", ("needle", 7): "e51fdbf6", ("long", 7): "20c92556"}


def story(script: Script) -> str:
    scenes = [(scene.start, scene.end, [(t.name, t.place, t.motion) for t in scene.things]) for scene in script.scenes]
    return repr((scenes, [(sound.kind, sound.start, sound.duration) for sound in script.sounds]))


def moments(scene: Scene) -> list[float]:
    return [share * (scene.end - scene.start) / TICKS for share in (0, 0.25, 0.5, 0.75, 1)]


def test_draws_are_pinned() -> None:
    draws = Draws(9, 1)
    assert [round(draws.unit(), 12) for _ in range(3)] == PINNED
    assert Draws(9, 1).shuffled(range(6)) == Draws(9, 1).shuffled(range(6))
    assert Draws(9, 2).unit() != Draws(9, 1).unit()


@pytest.mark.parametrize("split", SPLITS)
def test_the_truth_of_a_seed_is_pinned(split: str) -> None:
    digest = hashlib.sha256(story(make_script(7, 16, split)).encode()).hexdigest()
    assert digest[:8] == TRUTH[split, 7]


def test_scenes_follow_each_other_and_change() -> None:
    for script in SCRIPTS:
        assert script.scenes[0].start == 0
        assert script.scenes[-1].start < script.seconds * TICKS <= script.scenes[-1].end
        assert all(one.end == other.start for one, other in pairwise(script.scenes))
        for one, other in pairwise(script.scenes):
            assert not {thing.name for thing in one.things} & {thing.name for thing in other.things}
        seconds = {"dense": range(2, 7), "needle": range(1, 4), "long": range(2, 15, 2)}[script.split]
        assert {scene.end - scene.start for scene in script.scenes[1:]} <= {s * TICKS for s in seconds}
        assert len(script.scenes) <= script.windows + 1


def test_objects_stay_in_the_frame_apart_and_in_their_place() -> None:
    for scene in (scene for script in SCRIPTS for scene in script.scenes):
        assert len({thing.name for thing in scene.things}) == len(scene.things)
        for seconds in moments(scene):
            for thing in scene.things:
                x, y = thing.at(seconds)
                assert 0.45 * thing.size < min(x, y, 1 - x, 1 - y)
                assert thing.motion != "still" or place_of(x, y) == thing.place
            for one, other in combinations(scene.things, 2):
                apart = max(abs(a - b) for a, b in zip(one.at(seconds), other.at(seconds), strict=True))
                assert apart > 0.49 * (one.size + other.size)


def test_a_motion_is_the_way_an_object_goes_and_easy_to_see() -> None:
    ways = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1), "still": (0, 0)}
    for thing in (thing for script in SCRIPTS for scene in script.scenes for thing in scene.things):
        speed = (thing.speed_x, thing.speed_y)
        assert tuple((value > 0) - (value < 0) for value in speed) == ways[thing.motion]
        assert thing.motion == "still" or max(map(abs, speed)) >= 0.05


NEEDLES = [make_script(seed, 16, "needle") for seed in range(60)]


def test_needles_are_small_brief_and_faint_before_one_background() -> None:
    for script in NEEDLES:
        assert len({scene.background for scene in script.scenes}) == 1
        things = [thing for scene in script.scenes for thing in scene.things]
        assert all(16 < 168 * thing.size < 24 and thing.motion == "still" for thing in things)
        assert all(sound.level <= 0.12 and sound.duration <= 18 for sound in script.sounds)
        names = [thing.name for thing in things]
        assert len(set(names)) == len(names)


def test_random_choice_must_lose_needles() -> None:
    covers = [len(cover_of(scene, thing, s)) for s in NEEDLES for scene in s.scenes for thing in scene.things]
    lost = {kept: sum((1 - kept) ** count for count in covers) / len(covers) for kept in (0.45, 0.3, 0.1)}
    assert len(covers) > 400
    assert sum(count <= 4 for count in covers) > 0.9 * len(covers)
    assert lost[0.45] > 0.25
    assert lost[0.3] > 0.4
    assert lost[0.1] > 0.7


def test_needles_have_distractors() -> None:
    shared = [
        any(len({thing.shape, thing.colour, other.shape, other.colour}) == 3 for other in things)
        for script in NEEDLES
        for things in [[thing for scene in script.scenes for thing in scene.things]]
        for thing in things
    ]
    assert sum(shared) > 0.9 * len(shared)


def test_a_long_script_holds_events_that_stand_out() -> None:
    for seed in range(5):
        things = [thing for scene in make_script(seed, 128, "long").scenes for thing in scene.things]
        times = Counter(thing.name for thing in things)
        assert sum(count == 1 for count in times.values()) >= 6
        assert max(times.values()) >= 3


def test_sounds_never_overlap_and_fit() -> None:
    for script in SCRIPTS:
        assert len(script.sounds) <= script.windows + 1
        assert all(other.start >= one.end + GAP for one, other in pairwise(script.sounds))
        assert all(sound.start >= 0 and sound.end <= script.seconds * TICKS for sound in script.sounds)


def name_by_hue(rgb: Rgb) -> str:
    """Name a colour as a human would, from hue, saturation and value."""
    hue, saturation, value = colorsys.rgb_to_hsv(*rgb)
    if saturation < 0.33:
        return "white" if value > 0.5 else "black"
    edges = {"red": 16, "orange": 42, "yellow": 72, "green": 170, "blue": 255, "purple": 330}
    return next((name for name, edge in edges.items() if 360 * hue < edge), "red")


def test_colours_keep_their_names_in_every_light() -> None:
    neutral = make_script(0, 1).appearance
    for (name, ends), tint, exposure, lift in product(
        COLOUR_ENDS.items(), ((1.0, 1.0, 1.0), *TINTS), EXPOSURES, (0.0, MOST_LIFT)
    ):
        look = with_light(neutral, tint, lift)
        for along in (0.0, 0.5, 1.0):
            red, green, blue = (low + (high - low) * along for low, high in zip(*ends, strict=True))
            assert name_by_hue(shown((red, green, blue), look, exposure)) == name


def with_light(look: Appearance, tint: Rgb, lift: float) -> Appearance:
    return replace(look, tint=tint, lift=lift)


@pytest.mark.parametrize(("windows", "split"), [(0, "dense"), (513, "dense"), (4, "haystack")])
def test_impossible_scripts_are_refused(windows: int, split: str) -> None:
    with pytest.raises(ValueError, match=r"windows|split"):
        make_script(1, windows, split)
