from itertools import islice, takewhile

import av
import numpy as np
import pytest

from clients.python.encode import Timed
from clients.python.programme import Programme
from clients.python.soundtrack import Speech
from clients.python.source import Source
from tests.clients.python.clips import write_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return Source(str(write_clip(tmp_path_factory.mktemp("clips") / "clip.mkv")))


@pytest.fixture(scope="module")
def mute(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return Source(str(write_clip(tmp_path_factory.mktemp("clips") / "mute.mkv", audio=False)))


def split(programme: Programme, until: float) -> tuple[list[Timed], list[Timed]]:
    packets = list(takewhile(lambda item: item[1].at < until, programme.packets()))
    video, audio = ([timed for kind, timed in packets if kind == which] for which in ("video", "audio"))
    return video, audio


def decoded(audio: list[Timed]) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """What a receiver hears, from the first packet's time on."""
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout, decoder.format = 48_000, "mono", "s16"
    return np.concatenate([frame.to_ndarray()[0] for timed in audio for frame in decoder.decode(timed.packet)])


def test_stamps_are_media_times_to_the_tick(clip: Source) -> None:
    programme = Programme(clip, hold=False)
    video, audio = split(programme, 99)
    assert [timed.packet.pts for timed in video] == [9_000 * i for i in range(20)]
    assert {timed.packet.time_base for timed in video} == {video[0].packet.time_base}
    steps = np.diff([timed.packet.pts for timed in audio])
    assert set(steps.tolist()) == {960}
    assert -960 < (audio[0].packet.pts or 0) <= 0, "the encoder's delay lies before time 0"
    assert programme.duration == pytest.approx(2.0, abs=0.1)


def test_a_sample_is_heard_at_the_time_that_its_packet_states(clip: Source) -> None:
    _, audio = split(Programme(clip, hold=False), 99)
    heard = decoded(audio).astype(float)
    loud = np.abs(heard) > 4_000
    onset = int(np.flatnonzero(loud[24_000:])[0]) + 24_000 + (audio[0].packet.pts or 0)
    assert onset == pytest.approx(48_000, abs=48), "within 1 ms"


def test_a_whole_picture_comes_every_two_seconds(mute: Source) -> None:
    video, _ = split(Programme(mute, loop=True), 6.5)
    keys = [timed.at for timed in video if timed.packet.is_keyframe]
    assert keys == pytest.approx([0, 2, 4, 6], abs=0.11)


def test_looping_goes_on_in_time_without_a_hole(clip: Source) -> None:
    video, audio = split(Programme(clip, loop=True), 5)
    assert np.diff([timed.at for timed in video]).max() < 0.15
    assert {round(step * 48_000) for step in np.diff([timed.at for timed in audio])} == {960}


def test_a_source_without_sound_gets_silence_for_the_speech(mute: Source) -> None:
    assert not Programme(mute).has_audio
    said = np.full(9_600, 8_000, dtype=np.int16)
    programme = Programme(mute, [Speech(0.5, said)])
    _, audio = split(programme, 2)
    heard = np.abs(decoded(audio).astype(float))
    assert heard[:23_000].max() < 1_000
    assert heard[24_500:33_000].mean() > 1_500


def test_the_end_is_held_for_as_long_as_wanted(clip: Source) -> None:
    programme = Programme(clip)
    video, audio = split(programme, 6)
    assert video[-1].at > 5.8
    assert audio[-1].at > 5.8
    assert programme.duration == pytest.approx(2.0, abs=0.1)
    assert len(list(islice(Programme(clip, hold=False).packets(), 10_000))) < 200
