"""Where evidence lies: the tokens said to cover an object are those whose pixels it changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nano_omni.evidence import CONDITIONS, _stays, cover_of, probes
from nano_omni.training.layout import AUDIO, TEXT, VIDEO, Column
from nano_omni.world.draws import Draws
from nano_omni.world.entities import Script
from nano_omni.world.pack import pack
from nano_omni.world.render import render
from nano_omni.world.script import make_script


def calm(script: Script, *, empty: bool) -> Script:
    """The same without shake, grain and zoom; `empty`: without its objects."""
    look = replace(script.appearance, shake=0.0, grain=0.0, zoom=1.0, softness=1.0)
    scenes = tuple(replace(scene, things=()) if empty else scene for scene in script.scenes)
    return replace(script, appearance=look, scenes=scenes)


@pytest.mark.default
def test_the_cover_is_where_an_object_shows() -> None:
    for seed in range(2):
        script = make_script(seed, 4, "needle")
        with_them, without = (render(pack([calm(script, empty=empty)]))[0].int() for empty in (False, True))
        changed = ((with_them - without).abs().sum(-1) > 30).view(8, 2, 6, 28, 6, 28).any(5).any(3).any(1)
        shown = {(second, 6 * row + column) for second, row, column in changed.nonzero().tolist()}
        cover = set().union(*(cover_of(scene, thing, script) for scene in script.scenes for thing in scene.things))
        assert shown
        assert shown <= cover
        assert len(cover - shown) <= 0.35 * len(cover)


def test_conditions_take_away_what_they_say() -> None:
    probe = next(
        probe for seed in range(20) for probe in probes(make_script(seed, 4), Draws(seed)) if probe.kind == VIDEO
    )
    place = np.array([(second, token) for second in range(8) for token in range(36)] + [(-1, -1)] * 5)
    rows = torch.zeros((len(place), Column.COUNT), dtype=torch.int32)
    rows[:-5, Column.KIND] = VIDEO
    whole = set(map(tuple, place[:-5].tolist()))
    kept = {}
    for name in CONDITIONS:
        stays = _stays(name, probe, rows, place, np.random.default_rng(0))
        assert stays[-5:].all()
        kept[name] = set(map(tuple, place[:-5][stays[:-5]].tolist()))
    here = {pair for pair in whole if pair[0] in probe.seconds}
    assert kept["all tokens"] == whole
    assert kept["cover taken away"] == whole - probe.cover
    assert kept["cover and its neighbours taken away"] == whole - probe.near
    assert kept["all of its seconds taken away"] == whole - here
    assert kept["only the cover of its seconds"] == (whole - here) | probe.cover
    others = kept["only as many others of its seconds"] & here
    assert len(others) == len(probe.cover)
    assert not others & probe.near
    assert 0.2 < len(kept["random 30 %"]) / len(whole) < 0.4


def test_sounds_are_probed_in_their_own_tokens() -> None:
    script = next(script for script in map(make_script, range(9), [4] * 9) if script.sounds)
    (probe,) = (probe for probe in probes(script, Draws(1)) if probe.kind == AUDIO)
    first = script.sounds[0]
    moments = sorted(25 * second + token for second, token in probe.cover)
    assert moments == list(range(moments[0], moments[-1] + 1))
    assert moments[0] <= first.start * 25 / 30 < moments[0] + 1
    assert moments[-1] < first.end * 25 / 30 <= moments[-1] + 1
    assert probe.kind != TEXT
