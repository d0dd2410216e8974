"""Where media is received, and what the answer says of it."""

from __future__ import annotations

import ipaddress

import pytest
from aioice import Connection
from pydantic import ValidationError

from stream_service.errors import ServerFull
from stream_service.media import IceServer, MediaSettings, network

HOST = "a=candidate:ab12 1 udp 2130706431 10.0.0.5 40000 typ host"
ANSWER = f"""v=0
m=audio 40000 UDP/TLS/RTP/SAVPF 96
c=IN IP4 10.0.0.5
{HOST}
m=video 40000 UDP/TLS/RTP/SAVPF 97
c=IN IP4 10.0.0.5
{HOST}
a=end-of-candidates
"""


def test_the_camera_is_asked_for_a_bit_rate() -> None:
    lines = network.announce(ANSWER, MediaSettings(max_video_kbps=1_500)).splitlines()
    assert lines.count("b=AS:1500") == 1
    assert lines.index("b=AS:1500") == lines.index("m=video 40000 UDP/TLS/RTP/SAVPF 97") + 2


def test_behind_nat_the_public_address_stands_beside_our_own() -> None:
    lines = network.announce(ANSWER, MediaSettings(public_ip="203.0.113.9")).splitlines()
    public = [line for line in lines if "203.0.113.9" in line]
    assert public == ["a=candidate:ab12p 1 udp 2130706431 203.0.113.9 40000 typ host"] * 2
    assert lines.count(HOST) == 2


def test_a_public_address_of_another_family_is_not_made_up() -> None:
    assert "2001:db8::1" not in network.announce(ANSWER, MediaSettings(public_ip="2001:db8::1"))


@pytest.mark.default
async def test_media_is_received_where_the_operator_says() -> None:
    connection = Connection(ice_controlling=False)
    network.bind(connection, MediaSettings(bind=("127.0.0.1",)))
    await connection.gather_candidates()
    assert [c.host for c in connection.local_candidates] == ["127.0.0.1"]
    await connection.close()


@pytest.mark.default
async def test_a_host_without_a_network_receives_at_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_reachable", lambda: False)
    connection = Connection(ice_controlling=False)
    network.bind(connection, MediaSettings())
    await connection.gather_candidates()
    assert all(ipaddress.ip_address(c.host).is_loopback for c in connection.local_candidates)
    assert connection.local_candidates
    await connection.close()


@pytest.mark.parametrize(
    "wrong",
    [{"bind": ("eth0",)}, {"public_ip": "example.org"}, {"ice_servers": ({"urls": ("http://x",)},)}, {"fits": 1}],
)
def test_settings_say_what_is_wrong(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MediaSettings.model_validate(wrong)
    assert IceServer(urls=("turn:turn.example.org:3478",), username="u", credential="p").username == "u"


@pytest.mark.parametrize("ports", [(0, 40_000), (40_001, 40_000), (40_000, 70_000)])
def test_ports_are_a_range_of_free_ones(ports: tuple[int, int]) -> None:
    with pytest.raises(ValidationError):
        MediaSettings(udp_ports=ports)


async def gathered(settings: MediaSettings) -> Connection:
    connection = Connection(ice_controlling=False)
    network.bind(connection, settings)
    await connection.gather_candidates()
    return connection


@pytest.mark.default
async def test_media_is_received_at_ports_of_the_range_until_all_are_taken() -> None:
    settings = MediaSettings(bind=("127.0.0.1",), udp_ports=(45_900, 45_901))
    taken = [await gathered(settings), await gathered(settings)]
    assert sorted(c.local_candidates[0].port for c in taken) == [45_900, 45_901]
    with pytest.raises(ServerFull) as refusal:
        await gathered(settings)
    assert refusal.value.retry_after
    await taken.pop().close()
    taken.append(await gathered(settings))
    for connection in taken:
        await connection.close()
