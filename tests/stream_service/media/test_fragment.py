"""SDP fragments of WHIP PATCH requests."""

from __future__ import annotations

import pytest

from stream_service.errors import InvalidSdp, TooLarge
from stream_service.media.fragment import read_fragment, write_fragment

TRICKLE = """a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
m=audio 9 UDP/TLS/RTP/SAVPF 0
a=mid:0
a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1
a=candidate:3471623853 1 udp 2122194687 9c6c1e6e-0000.local 61765 typ host generation 0
a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active
a=end-of-candidates
"""


def test_credentials_and_useful_candidates_are_read() -> None:
    fragment = read_fragment(TRICKLE.replace("\n", "\r\n"), 64_000)
    assert (fragment.ufrag, fragment.password) == ("EsAw", "P2uYro0UCOQ4zxjKXaWCBui1")
    assert [(c.ip, c.port) for c in fragment.candidates] == [("192.0.2.1", 61764)]


def test_the_end_of_candidates_alone_is_a_fragment() -> None:
    assert read_fragment("a=mid:0\r\na=end-of-candidates\r\n", 64_000).candidates == ()


@pytest.mark.parametrize(
    "text", ["", "hello", "{}", "a=candidate:1 one udp 3 192.0.2.1 61764 typ host", "m=audio 9 UDP/TLS/RTP/SAVPF 0\n"]
)
def test_what_is_not_a_fragment_is_refused(text: str) -> None:
    with pytest.raises(InvalidSdp) as caught:
        read_fragment(text, 64_000)
    assert caught.value.remedy


def test_a_large_fragment_is_refused() -> None:
    with pytest.raises(TooLarge):
        read_fragment(TRICKLE * 200, 64_000)


def test_candidates_are_bounded() -> None:
    lines = [f"a=candidate:{n} 1 udp 1 192.0.2.1 {1024 + n} typ host\n" for n in range(200)]
    assert len(read_fragment("".join(lines), 64_000).candidates) == 32


def test_what_we_write_we_can_read() -> None:
    fragment = read_fragment(write_fragment("u1", "p1", ["7 1 udp 5 192.0.2.9 4000 typ host"], "0"), 64_000)
    assert (fragment.ufrag, fragment.password, fragment.candidates[0].port) == ("u1", "p1", 4000)
