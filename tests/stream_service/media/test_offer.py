"""Offers are refused in words that help, and what aiortc should not see is left out."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_service.errors import InvalidSdp, OmniDropError, TooLarge, UnsupportedMedia
from stream_service.media.offer import read_offer

PRINT = ":".join(["AB"] * 32)
COMMON = f"""a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 {PRINT}
a=setup:actpass
a=sendonly
a=rtcp-mux
"""
HEAD = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\na=group:BUNDLE 0 1\n"
VIDEO = f"m=video 9 UDP/TLS/RTP/SAVPF 96 97\na=mid:0\na=rtpmap:96 VP8/90000\na=rtpmap:97 VP9/90000\n{COMMON}"
AUDIO = f"m=audio 9 UDP/TLS/RTP/SAVPF 111 0\na=mid:1\na=rtpmap:111 opus/48000/2\na=rtpmap:0 PCMU/8000\n{COMMON}"
GOOD = HEAD + VIDEO + AUDIO


def alone(section: str) -> str:
    return HEAD.replace("BUNDLE 0 1", f"BUNDLE {'0' if 'm=video' in section else '1'}") + section


def h264(profile: str, mode: str = "packetization-mode=1;") -> str:
    section = VIDEO.replace("96 97", "96").replace("a=rtpmap:97 VP9/90000\n", "").replace("VP8", "H264")
    return f"{section}a=fmtp:96 {mode}profile-level-id={profile}\n"


def refusal(text: str) -> OmniDropError:
    with pytest.raises(OmniDropError) as caught:
        read_offer(text, 64_000)
    assert caught.value.remedy
    return caught.value


def test_a_browsers_offer_is_taken() -> None:
    offer = read_offer(GOOD, 64_000)
    assert offer.codecs == {"video": ("video/vp8",), "audio": ("audio/opus",)}
    assert offer.answer_passive


@pytest.mark.parametrize("text", [alone(VIDEO), alone(AUDIO)])
def test_one_track_is_enough(text: str) -> None:
    assert len(read_offer(text, 64_000).codecs) == 1


def test_a_sender_that_waits_for_our_handshake_is_not_made_to_wait() -> None:
    assert not read_offer(GOOD.replace("actpass", "passive"), 64_000).answer_passive


def test_a_parameter_without_its_value_is_malformed() -> None:
    """Found by fuzzing: aiortc fails on it."""
    refused = refusal(alone(h264("42e01f", "packetization-mode;")))
    assert isinstance(refused, InvalidSdp)
    assert "fmtp" in refused.message


@pytest.mark.parametrize("profile", ["42e01f", "42c01f", "42001f", "42001e"])
def test_baseline_profiles_are_taken(profile: str) -> None:
    assert read_offer(alone(h264(profile)), 64_000).codecs == {"video": ("video/h264",)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (alone(VIDEO.replace("VP8", "AV1")), "VP9"),
        (alone(h264("640c1f")), "H264"),
        (alone(h264("42e01f", mode="")), "H264"),
        (HEAD + AUDIO.replace("opus/48000/2", "MP4A-LATM/48000").replace("PCMU/8000", "G729/8000"), "G729"),
        (HEAD + VIDEO + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=mid:2\n" + COMMON, "application"),
    ],
)
def test_a_codec_that_we_do_not_have_is_named_with_those_that_we_have(text: str, words: str) -> None:
    error = refusal(text)
    assert isinstance(error, UnsupportedMedia)
    assert words in error.message
    assert any(known in error.remedy for known in ("VP8", "Opus", "video and audio"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "v=0"),
        ("{}", "v=0"),
        ("v=0\n", "no media"),
        (HEAD, "no media"),
        (GOOD.replace("a=mid:0\n", ""), "a=mid"),
        (GOOD.replace("a=rtcp-mux\n", ""), "rtcp-mux"),
        (GOOD.replace("a=sendonly", "a=recvonly"), "does not send"),
        (GOOD.replace("a=sendonly\n", ""), "does not send"),
        (GOOD.replace("a=ice-pwd:abcdefghijklmnopqrstuvwx\n", ""), "ICE"),
        (GOOD.replace("a=setup:actpass\n", ""), "DTLS role"),
        (GOOD.replace("actpass", "holdconn"), "malformed"),
        (GOOD.replace("sha-256", "md5"), "fingerprint"),
        (GOOD.replace("a=group:BUNDLE 0 1\n", ""), "bundle"),
        (GOOD.replace("BUNDLE 0 1", "BUNDLE 0 2"), "BUNDLE"),
        (GOOD.replace("BUNDLE 0 1", "BUNDLE"), "BUNDLE"),
        (GOOD.replace("a=mid:1", "a=mid:0"), "BUNDLE"),
        (GOOD + VIDEO.replace("mid:0", "mid:2"), "more than one"),
        (GOOD.replace("m=video 9", "m=video nine"), "malformed"),
        (GOOD.replace("a=rtpmap:96 VP8/90000", "a=rtpmap:96"), "malformed"),
        (GOOD.replace("96 97", "96 72"), "malformed"),
        (GOOD + "a=fmtp:50 x=1\n", "malformed"),
        (GOOD + "a=candidate:1 one udp 1 10.0.0.1 x typ host\n", "malformed"),
    ],
)
def test_what_is_not_an_offer_to_send_is_refused(text: str, words: str) -> None:
    error = refusal(text)
    assert isinstance(error, InvalidSdp)
    assert error.field == "sdp"
    assert words in error.message


def test_a_large_offer_is_refused_before_it_is_read() -> None:
    with pytest.raises(TooLarge):
        read_offer(GOOD + "a=x\n" * 20_000, 64_000)


def test_hidden_addresses_and_the_end_of_candidates_are_left_out() -> None:
    lines = [
        "a=candidate:1 1 udp 2113937151 9c6c1e6e-0000.local 53773 typ host",
        "a=candidate:2 1 udp 2113937151 192.0.2.7 53773 typ host",
        "a=candidate:4 1 udp 2113937151 192.0.2.8 65536 typ host",
        "a=candidate:5 1 udp 2113937151 192.0.2.9 -1 typ host",
        "a=candidate:3 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active",
        "a=end-of-candidates",
    ]
    offer = read_offer(GOOD + "\n".join(lines) + "\n", 64_000)
    kept = [line for line in offer.sdp.splitlines() if "candidate" in line]
    assert kept == [lines[1]]


FFMPEG = """v=0
o=FFmpeg 4489045141692799359 2 IN IP4 127.0.0.1
s=FFmpegPublishSession
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=ice-ufrag:2464b3f0
a=ice-pwd:43eabef570f621f19c799493033ae4b2
a=fingerprint:sha-256 FA:9A:55:CE:E8:1A:F5:11:31:CA:9B:18:D8:EF:C7:16:18:1B:2C:6B:A4:66:3F:89:07:0C:04:AB:3B:E9:BD:16
a=setup:passive
a=mid:0
a=sendonly
a=msid:FFmpeg audio
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=ssrc:3850040939 cname:FFmpeg
a=ssrc:3850040939 msid:FFmpeg audio
m=video 9 UDP/TLS/RTP/SAVPF 106 105
c=IN IP4 0.0.0.0
a=ice-ufrag:2464b3f0
a=ice-pwd:43eabef570f621f19c799493033ae4b2
a=fingerprint:sha-256 FA:9A:55:CE:E8:1A:F5:11:31:CA:9B:18:D8:EF:C7:16:18:1B:2C:6B:A4:66:3F:89:07:0C:04:AB:3B:E9:BD:16
a=setup:passive
a=mid:1
a=sendonly
a=msid:FFmpeg video
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:106 H264/90000
a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001e
a=rtcp-fb:106 nack
a=rtpmap:105 rtx/90000
a=fmtp:105 apt=106
a=ssrc-group:FID 3850040940 3850040941
a=ssrc:3850040940 cname:FFmpeg
"""
"""What ffmpeg 9's ``whip`` muxer offered."""


def test_ffmpegs_offer_is_taken_and_it_stays_the_handshakes_server() -> None:
    offer = read_offer(FFMPEG, 64_000)
    assert offer.codecs == {"audio": ("audio/opus",), "video": ("video/h264",)}
    assert not offer.answer_passive


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_happens_to_an_offer_the_error_is_ours(data: st.DataObject) -> None:
    lines = data.draw(st.sampled_from([GOOD, FFMPEG])).splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        cut = data.draw(st.integers(0, len(lines[at])))
        noise = data.draw(st.sampled_from(["", " ", ":", "a=", "-1", "99999999999", "\x00", "é", "/", "m=video 9"]))
        lines[at : at + 1] = data.draw(
            st.sampled_from(
                [[], [lines[at], lines[at]], [lines[at][:cut] + noise + lines[at][cut:]], [lines[at][:cut]]]
            )
        ) or ["a=x"]
    with contextlib.suppress(OmniDropError):
        read_offer("\n".join(lines), 64_000)
