"""The live benchmark without a service: the planner's rule, stories read from events, skew, the JSON line."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCCertificate, RTCDtlsTransport, RTCIceGatherer, RTCIceTransport, RTCRtpSender
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpSendParameters
from aiortc.rtp import RtpPacket

from benchmarks.live.__main__ import _parser
from benchmarks.live.episode import Played
from benchmarks.live.footage import HEIGHT, WIDTH, pillarboxed
from benchmarks.live.plan import QUIET_S, TAIL_S, Episode, NoEpisode, plan
from benchmarks.live.report import lines, parts, parts_table, result
from benchmarks.live.skew import RATES, SkewMeter, newest_timestamp
from benchmarks.live.story import Story, words
from benchmarks.live.voice import NoVoice, trimmed
from nano_omni.world import ACCEPTANCE_SEEDS, CATEGORIES
from nano_omni.world.entities import TICKS
from nano_omni.world.view import View

PARTS = {"queue": 3.0, "encode": 2.0, "fuse": 1.0, "guide": 40.0, "hang_over": 600.0, "transcribe": 100.0}


def _spoken_s(text: str) -> float:
    return 0.06 * len(text)


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    return plan(8_100_000, 20, _spoken_s)


def test_the_plan_is_the_same_every_time_and_spans_the_categories(episodes: list[Episode]) -> None:
    assert plan(8_100_000, 20, _spoken_s) == episodes
    assert len({one.qa.category for one in episodes}) == 20
    heads = {name.partition(".")[0] for name in CATEGORIES}
    assert {one.qa.category.partition(".")[0] for one in episodes} == heads
    assert all(8 <= one.script.windows <= 16 for one in episodes)
    assert all(8_000_000 <= one.script.seed < ACCEPTANCE_SEEDS for one in episodes)


def test_answers_hold_from_a_second_before_the_cut_and_no_event_is_talked_over(episodes: list[Episode]) -> None:
    for one in episodes:
        end = one.script.seconds
        assert one.qa.cut == end
        assert one.voiced_end == pytest.approx(one.onset + _spoken_s(one.qa.text)) == end - TAIL_S
        assert all(sound.end / TICKS <= one.onset - QUIET_S for sound in one.script.sounds)
        late, early = View(one.script, end), View(one.script, end - 1)
        assert late.heard == early.heard
        if one.qa.category.startswith("now"):
            assert late.now == early.now


def test_a_question_too_long_for_any_silence_has_no_episode() -> None:
    with pytest.raises(NoEpisode, match="suits a question"):
        plan(8_100_000, 1, lambda text: 60.0)


def test_scenes_stand_between_black_pillars() -> None:
    frame = pillarboxed(np.full((240, 240, 3), 200, dtype=np.uint8))
    assert frame.shape == (HEIGHT, WIDTH, 3)
    assert (frame[:, 80:560] == 200).all()
    assert not frame[:, :80].any()
    assert not frame[:, 560:].any()


def test_speech_is_cut_to_its_voice() -> None:
    samples = np.zeros(1000, dtype=np.int16)
    samples[100:200] = -5000
    assert len(trimmed(samples).samples) == 100
    with pytest.raises(NoVoice, match="silent"):
        trimmed(np.zeros(10, dtype=np.int16))


@pytest.mark.parametrize(
    ("asked", "heard", "same"),
    [
        ("What colour is it?", "what color is it", True),
        ("Where's the star?", "Where’s the star.", True),
        ("What is the star?", "What is a star?", False),
    ],
)
def test_transcripts_are_compared_word_for_word(asked: str, heard: str, same: bool) -> None:
    assert (words(asked) == words(heard)) is same


def _window(index: int, start: float, end: float) -> dict[str, Any]:
    return {"type": "window.fused", "at": end, "index": index, "start": start, "end": end}


def _accepted(at: float, question: str = "q1") -> dict[str, Any]:
    return {
        "type": "question.accepted", "at": at, "question": question, "text": "What do you see?", "source": "speech"
    }  # fmt: skip


def _told(*events: dict[str, Any], asked_at: float = 6.0) -> Story:
    story = Story(asked_at)
    for number, event in enumerate(events):
        story.push({"at": 0.0, **event}, 100.0 + number)
    return story


def _answered() -> Story:
    return _told(
        _window(0, 0.0, 2.0),
        _window(1, 2.0, 4.0),
        _accepted(7.5),
        {"type": "answer.started", "question": "q1", "ttft_ms": 750.0},
        {"type": "answer.delta", "question": "q1", "text": "a red"},
        {"type": "answer.delta", "question": "q1", "text": " star."},
        {"type": "answer.done", "question": "q1", "text": "a red star.", "timings_ms": PARTS, "retention": 0.34},
    )


def test_a_story_ends_with_the_answer_and_keeps_its_parts() -> None:
    story = _answered()
    assert (story.text, story.answer, story.ended) == ("What do you see?", "a red star.", "answered")
    assert (story.first_text, story.windows, story.windows_lost, story.unasked) == (104.0, 2, 0, 0)
    assert story.parts_ms == {**PARTS, "first_step": pytest.approx(4.0)}
    assert list(story.parts_ms)[:2] == ["hang_over", "transcribe"]


def test_windows_that_were_dropped_or_skipped_are_lost() -> None:
    assert _told(_window(0, 0, 2), _window(2, 4, 6)).windows_lost == 1
    assert _told({"type": "overload", "action": "windows", "windows": 2, "frames": 0}).windows_lost == 2
    assert _told({"type": "overload", "action": "compression", "windows": 1, "frames": 0}).windows_lost == 0
    assert _told({"type": "engine.restarted", "windows_refed": 4, "windows_lost": 3}).windows_lost == 3
    assert _told(_window(0, 0, 2), _window(1, 2, 3), _window(2, 3, 5)).windows_lost == 0


def test_what_was_heard_in_the_scene_is_not_our_question() -> None:
    story = _told(_accepted(3.0, "q0"), {"type": "answer.done", "question": "q0", "text": "x"}, _accepted(7.5))
    assert (story.unasked, story.text, story.ended) == (1, "What do you see?", None)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"type": "speech.stopped", "at": 7.5, "dropped": "too long"}, "not taken: too long"),
        ({"type": "error", "at": 7.5, "question": None, "code": "speech_not_understood", "message": "?"}, "speech_not"),
        ({"type": "session.closed", "reason": "the server stopped"}, "session closed"),
    ],
)
def test_a_story_without_an_answer_says_why(event: dict[str, Any], reason: str) -> None:
    story = _told(event)
    assert story.ended is not None
    assert story.ended.startswith(reason)
    assert story.answer is None
    early = _told({**event, "at": 2.0}) if event["type"] != "session.closed" else None
    assert early is None or early.ended is None


def test_an_answer_cut_off_is_said() -> None:
    story = _told(_accepted(7.5), {"type": "answer.cancelled", "question": "q1", "reason": "timeout", "text": ""})
    assert story.ended == "cancelled: timeout"


@pytest.mark.parametrize("origins", [{"video": 17, "audio": 4_294_960_000}, {"video": 4_294_900_000, "audio": 3}])
def test_skew_is_what_the_server_added_to_the_media_times(origins: dict[str, int]) -> None:
    meter = SkewMeter()

    def stamp(kind: str, at: float) -> int:
        return (origins[kind] + round(at * RATES[kind])) % (1 << 32)

    for at in (0.0, 0.1, 0.2, 0.3):
        meter.sent("video", at, stamp("video", at))
        meter.sent("audio", at + 0.02, stamp("audio", at))  # read between two packets
        meter.sent("audio", at, stamp("audio", at))
        meter.sent("audio", at, stamp("audio", at))
    meter.seen({"frames": 0.0})
    meter.seen(
        {
            "video_rtp": float(stamp("video", 12.0)), "video_at_s": 12.130,
            "audio_rtp": float(stamp("audio", 12.5)), "audio_at_s": 12.6,
        }
    )  # fmt: skip
    assert meter.skews_s() == [pytest.approx(0.030, abs=1e-6)]
    assert SkewMeter().skews_s() == []


async def test_the_newest_timestamp_is_the_one_on_the_wire() -> None:
    """What fails when a new aiortc keeps it elsewhere."""
    packet = av.Packet(bytes(160))
    packet.pts, packet.time_base = 960, Fraction(1, 48_000)
    wire: asyncio.Queue[bytes] = asyncio.Queue()
    asked_again = asyncio.Event()

    class OnePacket(MediaStreamTrack):  # type: ignore[misc]  # aiortc is untyped
        kind = "audio"

        async def recv(self) -> av.Packet:
            if not wire.empty():
                asked_again.set()
                await asyncio.Event().wait()
            return packet

    transport = RTCDtlsTransport(RTCIceTransport(RTCIceGatherer([])), [RTCCertificate.generateCertificate()])
    transport._send_rtp = wire.put
    sender = RTCRtpSender(OnePacket(), transport)
    assert newest_timestamp(sender) is None
    opus = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48_000, channels=2, payloadType=96)
    await sender.send(RTCRtpSendParameters(codecs=[opus]))
    await asked_again.wait()
    await sender.stop()
    assert newest_timestamp(sender) == RtpPacket.parse(wire.get_nowait()).timestamp


def test_an_aiortc_that_keeps_it_elsewhere_is_told() -> None:
    with pytest.raises(RuntimeError, match="newest_timestamp"):
        newest_timestamp(object())


def test_the_json_line_counts_and_lists_all_episodes(episodes: list[Episode]) -> None:
    truth = replace(episodes[0], qa=replace(episodes[0].qa, text="What do you see?", answer="a red star."))
    good = Played(truth, _answered(), 800.0, [1.0, -3.0], 0)
    silent = Played(episodes[1], _told({"type": "session.closed", "reason": "gone"}), None, [], 2)
    found = result([good, silent])
    assert list(found)[:8] == [
        "bench", "episodes", "transcripts_exact", "answers_exact", "ttft_ms_p50", "ttft_ms_p95", "windows_lost",
        "av_skew_ms_p95",
    ]  # fmt: skip
    assert (found["bench"], found["episodes"], found["transcripts_exact"], found["answers_exact"]) == ("live", 2, 1, 1)
    assert (found["ttft_ms_p50"], found["av_skew_ms_p95"], found["packets_lost"]) == (800.0, 3.0, 2)
    assert found["parts_ms"]["delivery"] == {"p50": 50.0, "p95": 50.0}
    assert set(parts([good])) == {*PARTS, "first_step", "delivery"}
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert "hang_over" in parts_table(found["parts_ms"])
    assert "right" in lines(good)[0]
    assert "WRONG" in lines(silent)[0]
    assert "gone" in lines(silent)[2]
    assert result([silent])["ttft_ms_p50"] is None


@pytest.mark.parametrize("arguments", [["--episodes", "0"], ["--seed", "-3"], ["--set", "budget=3"], ["--set", "a.b"]])
def test_bad_arguments_are_usage_errors(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        _parser().parse_args(arguments)
    assert stopped.value.code == 2
