"""The long split: an oracle reads all of a stream and must find every question unambiguous and every answer right."""

import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from nano_omni.world.entities import TICKS, Scene, Sound
from nano_omni.world.long import AGES, LongQuestion, LongStream
from nano_omni.world.phrases import EVENTS

STREAMS = [LongStream(seed, minutes) for seed, minutes in enumerate((2, 5, 11, 30, 64, 120))]


def history(stream: LongStream) -> tuple[list[Scene], list[Sound]]:
    """All scenes and sounds of a stream, on one clock."""
    scenes, sounds = [], []
    for block in range(stream.minutes + 1):
        script, offset = stream.script(block), 2 * TICKS * stream.start(block)
        scenes += [replace(scene, start=scene.start + offset, end=scene.end + offset) for scene in script.scenes]
        sounds += [replace(sound, start=sound.start + offset) for sound in script.sounds]
    return scenes, sounds


def named(scene: Scene) -> str:
    return "+".join(sorted(thing.name for thing in scene.things)) or "nothing"


def unordered(answer: str) -> str:
    return "+".join(sorted(re.sub(r"\ban? ", "", answer.rstrip(".")).replace(" and ", ", ").split(", ")))


def judge(question: LongQuestion, scenes: list[Scene], sounds: list[Sound]) -> Scene:
    """Check a canonical question; returns the scene it is about."""
    begun = [scene for scene in scenes if scene.start < question.cut * TICKS]
    heard = [sound for sound in sounds if sound.start < question.cut * TICKS]
    told = question.answer.rstrip(".")
    if match := re.fullmatch(r"What was on screen when ([\w ]+)\?", question.text):
        kind = next(kind for kind, said in EVENTS.items() if match.group(1) in said)
        (sound,) = (sound for sound in heard if sound.kind == kind)
        (scene,) = (scene for scene in begun if scene.start <= sound.start and sound.end <= scene.end)
        assert named(scene) == unordered(question.answer)
        return scene
    patterns = r"(?:see (before|after) the|(Where) was the|while the|(colour) was the|(shape) was the)"
    match = re.search(patterns + r" ([\w ]+?)(?: object| was visible)?\?", question.text)
    assert match, question.text
    how = next((part for part in match.groups()[:4] if part), "sound")
    word = match.group(5)
    found = [(s, t) for s in begun for t in s.things if word in (t.name, t.shape, t.colour)]
    assert len(found) == 1, question.text
    scene, thing = found[0]
    at = begun.index(scene)
    if how == "sound":
        (sound,) = (sound for sound in heard if sound.start < scene.end and scene.start < sound.end)
        assert scene.start <= sound.start
        assert sound.end <= scene.end
        assert told == ("noise" if sound.kind == "noise" else f"a {sound.kind}")
    elif how in ("before", "after"):
        assert named(begun[at + (1 if how == "after" else -1)]) == unordered(question.answer)
    else:
        assert how != "Where" or thing.motion == "still"
        assert told == {"Where": thing.place, "colour": thing.colour, "shape": f"a {thing.shape}"}[how]
    return scene


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: f"{stream.minutes} min")
def test_every_question_has_one_right_answer_at_its_age(stream: LongStream) -> None:
    scenes, sounds = history(stream)
    assert scenes[0].start == 0
    assert scenes[-1].end == 60 * TICKS * stream.minutes
    assert all(one.end == other.start for one, other in pairwise(scenes))
    for question in stream.questions:
        scene = judge(question, scenes, sounds)
        assert 2 * TICKS * question.first_window <= scene.start
        assert scene.end <= 2 * TICKS * (question.last_window + 1)
        slack = 100 if question.age_minutes >= 5 else 40
        assert abs(question.age_seconds - 60 * question.age_minutes) <= slack
        assert question.cut * TICKS >= scene.end


def test_the_ages_a_stream_is_old_enough_for_are_asked() -> None:
    for stream in STREAMS:
        last = [one.age_minutes for one in stream.questions if one.cut == 60 * stream.minutes]
        assert set(last) == {age for age in AGES if age < stream.minutes}
        assert len({one.cut for one in stream.questions}) == (2 if stream.minutes > 3 else 1)
    kinds = Counter(one.category for one in STREAMS[-1].questions)
    assert {"past.place", "av.sound", "past.before", "past.after"} <= set(kinds)


def test_a_stream_is_its_seed() -> None:
    assert LongStream(3, 30).questions == STREAMS[3].questions
    assert LongStream(4, 30).questions != STREAMS[3].questions
    assert LongStream(3, 30).script(29) == STREAMS[3].script(29)


@pytest.mark.default
def test_windows_come_in_order_with_their_questions() -> None:
    stream = LongStream(11, 2, moments=(1, 2), ages=(1,))
    assert [question.cut for question in stream.questions] == [120, 120]
    windows = []
    for window in stream.play():
        windows.append(window)
        if len(windows) == 20:
            break
    assert [window.index for window in windows] == list(range(20))
    assert [window.start for window in windows[:3]] == [0.0, 2.0, 4.0]
    assert all(window.frames.shape == (4, 168, 168, 3) and window.frames.dtype == np.uint8 for window in windows)
    assert all(window.samples.shape == (32_000,) and window.samples.dtype == np.float32 for window in windows)
    assert not any(window.asked for window in windows)
    assert stream.asked_after(59) == stream.questions
    assert max(float(np.abs(window.samples).max()) for window in windows) > 0.05


@pytest.mark.parametrize(
    ("minutes", "options"),
    [(1, {}), (10, {"moments": (11,)}), (10, {"moments": ()}), (10, {"ages": (0,)}), (10, {"per_age": 0})],
)
def test_impossible_streams_are_refused(minutes: int, options: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=r"minutes|moments|ages"):
        LongStream(1, minutes, **options)  # type: ignore[arg-type]
