"""Samples: repeatable, true to the script, and the same in single and double precision."""

from dataclasses import replace

import pytest
import torch

from nano_omni.world import Sound, make_script, pack, synthesise
from nano_omni.world.entities import TICKS
from nano_omni.world.script import SOUND_RANGES
from nano_omni.world.sound import RATE
from nano_omni.world.vocabulary import SOUNDS

SCRIPTS = [make_script(seed, 3) for seed in range(4)]


def test_samples_are_repeatable_bounded_and_independent_of_their_batch() -> None:
    samples = synthesise(pack(SCRIPTS))
    assert samples.shape == (4, 3 * 2 * RATE)
    assert samples.dtype == torch.float32
    assert samples.abs().max() <= 1
    assert torch.equal(synthesise(pack(SCRIPTS[2:3]))[0], samples[2])


def test_precision_moves_no_sample_by_more_than_a_step() -> None:
    packed = pack(SCRIPTS)
    assert (synthesise(packed) - synthesise(packed, dtype=torch.float64)).abs().max() <= 1 / 32_768


@pytest.mark.parametrize("split", ["dense", "needle"])
def test_events_sound_when_the_script_says_and_above_the_noise(split: str) -> None:
    for seed in range(4):
        script = make_script(seed, 4, split)
        quiet = replace(script, sounds=())
        apart = synthesise(pack([script]))[0] - synthesise(pack([quiet]))[0]
        noise = synthesise(pack([quiet]))[0].square().mean().sqrt()
        silent = torch.ones_like(apart, dtype=torch.bool)
        for sound in script.sounds:
            begin, end = sound.start * RATE // TICKS, sound.end * RATE // TICKS
            silent[begin : end + 1] = False
            assert apart[begin:end].abs().max() > 2 * noise, (seed, sound.kind)
        assert not apart[silent].any()


def test_each_kind_has_a_sound_of_its_own() -> None:
    script = make_script(0, 10)
    clean = replace(script.appearance, hiss=0.0, hum=0.0, gain=1.0)
    sounds = []
    for at, kind in enumerate(SOUNDS):
        allowed = SOUND_RANGES[kind]
        sounds.append(Sound(kind, 60 * at, allowed.longest, (allowed.lowest + allowed.highest) / 2, 0.5, 0.5))
    samples = synthesise(pack([replace(script, sounds=tuple(sounds), appearance=clean)]))[0]
    clips = samples.view(10, -1)[: len(SOUNDS)]
    assert clips.abs().amax(1).min() > 0.15
    spectra = torch.stft(clips, 512, 256, window=torch.hann_window(512), return_complex=True).abs()
    flat = torch.nn.functional.normalize(torch.log1p(100 * spectra).flatten(1), dim=1)
    likeness = flat @ flat.T - torch.eye(len(SOUNDS))
    assert likeness.max() < 0.88
