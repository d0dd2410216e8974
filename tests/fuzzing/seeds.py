"""Inputs that are right, for the mutations to start from: an aiortc, a Chromium and an ffmpeg offer, and fragments."""

from __future__ import annotations

_FINGERPRINT = ":".join(["AB"] * 32)
_ICE = f"a=ice-ufrag:Ab3d\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:sha-256 {_FINGERPRINT}"

CHROMIUM = f"""v=0\r
o=- 4611731400430051336 2 IN IP4 127.0.0.1\r
s=-\r
t=0 0\r
a=group:BUNDLE 0 1\r
a=extmap-allow-mixed\r
a=msid-semantic: WMS stream\r
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8\r
c=IN IP4 0.0.0.0\r
a=rtcp:9 IN IP4 0.0.0.0\r
a=candidate:2068 1 udp 2113937151 5f3c.local 50100 typ host generation 0 network-cost 999\r
a=candidate:2069 1 udp 2113937151 127.0.0.1 50101 typ host generation 0\r
{_ICE}\r
a=ice-options:trickle\r
a=setup:actpass\r
a=mid:0\r
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r
a=sendonly\r
a=msid:stream audio\r
a=rtcp-mux\r
a=rtpmap:111 opus/48000/2\r
a=rtcp-fb:111 transport-cc\r
a=fmtp:111 minptime=10;useinbandfec=1\r
a=rtpmap:63 red/48000/2\r
a=fmtp:63 111/111\r
a=rtpmap:9 G722/8000\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
a=ssrc:1001 cname:camera\r
m=video 9 UDP/TLS/RTP/SAVPF 96 97 106\r
c=IN IP4 0.0.0.0\r
a=rtcp:9 IN IP4 0.0.0.0\r
{_ICE}\r
a=ice-options:trickle\r
a=setup:actpass\r
a=mid:1\r
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r
a=sendonly\r
a=msid:stream video\r
a=rtcp-mux\r
a=rtcp-rsize\r
a=rtpmap:96 VP8/90000\r
a=rtcp-fb:96 goog-remb\r
a=rtcp-fb:96 nack\r
a=rtcp-fb:96 nack pli\r
a=rtpmap:97 rtx/90000\r
a=fmtp:97 apt=96\r
a=rtpmap:106 H264/90000\r
a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r
a=ssrc-group:FID 2001 2002\r
a=ssrc:2001 cname:camera\r
a=ssrc:2002 cname:camera\r
"""

FFMPEG = f"""v=0\r
o=FFmpeg 4489045141692799359 2 IN IP4 127.0.0.1\r
s=FFmpegPublishSession\r
t=0 0\r
a=group:BUNDLE 0 1\r
a=extmap-allow-mixed\r
a=msid-semantic: WMS\r
m=audio 9 UDP/TLS/RTP/SAVPF 111\r
c=IN IP4 0.0.0.0\r
{_ICE}\r
a=setup:passive\r
a=mid:0\r
a=sendonly\r
a=msid:FFmpeg audio\r
a=rtcp-mux\r
a=rtpmap:111 opus/48000/2\r
a=ssrc:3001 cname:FFmpeg\r
m=video 9 UDP/TLS/RTP/SAVPF 106\r
c=IN IP4 0.0.0.0\r
{_ICE}\r
a=setup:passive\r
a=mid:1\r
a=sendonly\r
a=msid:FFmpeg video\r
a=rtcp-mux\r
a=rtcp-rsize\r
a=rtpmap:106 H264/90000\r
a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f\r
a=ssrc:3002 cname:FFmpeg\r
"""

SOUND = CHROMIUM[: CHROMIUM.index("m=video")].replace("BUNDLE 0 1", "BUNDLE 0")

OFFERS = (CHROMIUM, FFMPEG, SOUND)

FRAGMENTS = (
    "a=ice-ufrag:Ab3d\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    "a=candidate:2069 1 udp 2113937151 127.0.0.1 50101 typ host\r\na=end-of-candidates\r\n",
    "a=candidate:1 1 udp 1 127.0.0.1 50102 typ srflx raddr 10.0.0.1 rport 9 generation 0 ufrag Ab3d\r\n",
    "a=candidate:1 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active\r\n"
    "a=candidate:2 1 udp 1 fe80::1 9 typ relay\r\n",
    "a=ice-ufrag:Ef9h\r\na=ice-pwd:zyxwvutsrqponmlkjihgfedc\r\n",
)

BODIES: tuple[object, ...] = (
    {"text": "What colour is the circle?"},
    {"mode": "push_to_talk"},
    {"action": "press"},
    {"session": "door"},
)
