"""Publishing through a TURN server: its short-lived credentials, and a real coturn with the direct paths shut."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCSessionDescription,
)
from pydantic import SecretStr, ValidationError

from stream_service.media import IceServer, MediaSettings, Peers, turn
from stream_service.media.fragment import read_fragment, write_fragment
from stream_service.media.restart import Restart, make_restartable
from tests.stream_service.media.coturn import SECRET, Coturn

URL = "turn:turn.example.org:3478?transport=udp"
SHARED = MediaSettings(turn_urls=(URL,), turn_secret=SecretStr(SECRET), turn_ttl_s=600)
MakeCamera = Callable[..., Any]


def test_credentials_are_those_of_the_scheme() -> None:
    (server,) = turn.for_client(SHARED, now=1_700_000_000.9)
    assert server.urls == (URL,)
    assert server.username is not None
    expiry, _, label = server.username.partition(":")
    assert int(expiry) == 1_700_000_600
    assert len(label) >= 8
    digest = hmac.new(SECRET.encode(), server.username.encode(), hashlib.sha1).digest()
    assert server.credential == base64.b64encode(digest).decode()


def test_every_client_gets_its_own() -> None:
    assert turn.for_client(SHARED, 0.0) != turn.for_client(SHARED, 0.0)


def test_servers_without_a_shared_secret_are_told_as_they_are() -> None:
    stun = IceServer(urls=("stun:stun.example.org",))
    fixed = MediaSettings(ice_servers=(stun,))
    assert turn.for_client(fixed, 0.0) == turn.for_gateway(fixed, 0.0) == (stun,)
    both = SHARED.model_copy(update={"ice_servers": (stun,)})
    assert [server.urls for server in turn.for_client(both, 0.0)] == [stun.urls, (URL,)]


def test_the_gateway_uses_the_turn_server_only_where_it_must() -> None:
    assert turn.for_gateway(SHARED, 0.0) == ()
    for need in ("turn_gateway", "relay_only"):
        assert turn.for_gateway(SHARED.model_copy(update={need: True}), 0.0)


def test_the_secret_does_not_print() -> None:
    assert SECRET not in repr(SHARED) + SHARED.model_dump_json()


@pytest.mark.parametrize(
    "wrong",
    [
        {"turn_urls": (URL,)},
        {"turn_secret": SECRET},
        {"turn_urls": ("stun:turn.example.org",), "turn_secret": SECRET},
        {"relay_only": True},
        {"relay_only": True, "ice_servers": ({"urls": ("stun:x",)},)},
    ],
)
def test_half_a_turn_server_is_a_mistake(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MediaSettings.model_validate(wrong)


# With a real coturn ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def coturn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coturn]:
    server = Coturn(tmp_path_factory.mktemp("coturn"))
    yield server
    server.stop()


def relay_only(server: IceServer) -> RTCPeerConnection:
    """A camera's connection that may use the TURN server only."""
    return RTCPeerConnection(
        RTCConfiguration(
            iceServers=[RTCIceServer(list(server.urls), server.username, server.credential)],
            bundlePolicy=RTCBundlePolicy.MAX_BUNDLE,
            iceTransportPolicy=RTCIceTransportPolicy.RELAY,
        )
    )


async def shut_in(make: MakeCamera, server: IceServer) -> Any:
    """A camera from which only the TURN server can be reached."""
    camera = make()
    tracks = [transceiver.sender.track for transceiver in camera.connection.getTransceivers()]
    await camera.connection.close()
    camera.connection = relay_only(server)
    for track in tracks:
        camera.connection.addTransceiver(track, direction="sendonly")
    return camera


@pytest.fixture
async def publish(coturn: Coturn, camera: MakeCamera, listener: Any) -> AsyncIterator[Callable[..., Any]]:
    """Publishes a shut-in camera into peers with given settings; returns the answer's SDP and the pair in use."""
    made: list[Peers] = []

    async def run(**settings: Any) -> tuple[str, Any]:
        chosen = coturn.settings(**settings)
        peers = Peers(chosen, (32, 32))
        made.append(peers)
        (server,) = turn.for_client(chosen, time.time())
        source = await shut_in(camera, server)
        offer = await source.offer()
        assert "typ relay" in offer
        assert "typ host" not in offer
        published = await peers.publish("s", offer, listener)
        await source.connection.setRemoteDescription(RTCSessionDescription(published.answer, "answer"))
        await listener.until(lambda seen: len(seen.frames) >= 10 and len(seen.chunks) >= 10)
        (pair,) = source.connection.getSenders()[0].transport.transport._connection._nominated.values()
        return published.answer, pair

    yield run
    for peers in made:
        await peers.stop()


@pytest.mark.default
async def test_a_camera_that_reaches_only_the_turn_server_publishes(coturn: Coturn, publish: Any) -> None:
    answer, pair = await publish()
    assert "typ relay" not in answer
    assert pair.local_candidate.type == "relay"
    assert coturn.relayed(pair.local_candidate.port)
    assert not coturn.relayed(pair.remote_candidate.port)


@pytest.mark.default
async def test_a_gateway_that_nobody_reaches_receives_through_the_turn_server_too(coturn: Coturn, publish: Any) -> None:
    answer, pair = await publish(relay_only=True)
    candidates = [line for line in answer.splitlines() if line.startswith("a=candidate:")]
    assert candidates
    assert all("typ relay" in line for line in candidates)
    assert coturn.relayed(pair.local_candidate.port)
    assert coturn.relayed(pair.remote_candidate.port)


@pytest.mark.default
async def test_ice_restarts_through_the_turn_server_with_fresh_credentials(
    coturn: Coturn, camera: MakeCamera, listener: Any
) -> None:
    peers = Peers(settings := coturn.settings(relay_only=True), (32, 32))
    (server,) = turn.for_client(settings, time.time())
    source = await shut_in(camera, server)
    make_restartable(transport := source.connection.getSenders()[0].transport.transport)
    await source.publish(peers, "s", listener)
    await listener.until(lambda seen: len(seen.frames) >= 10)
    first = peers._sources["s"].peer._transport().transport._connection
    restart = Restart(transport, [RTCIceServer(list(server.urls), server.username, server.credential)], lambda _: None)
    ufrag, password, candidates = await restart.prepare()
    trickled = await peers.trickle("s", write_fragment(ufrag, password, candidates, "0"), "*")
    assert "typ relay" in trickled.answer
    assert "typ host" not in trickled.answer
    remote = read_fragment(trickled.answer, 64_000)
    await restart.trickle(remote.candidates)
    assert await restart.run(remote, 5.0)
    heard = len(listener.frames)
    await listener.until(lambda seen: len(seen.frames) >= heard + 30)
    second = peers._sources["s"].peer._transport().transport._connection
    assert second is not first
    assert second.turn_username != first.turn_username
    assert listener.told == [(True, True)]
    await peers.stop()


@pytest.mark.default
@pytest.mark.parametrize("age", [0, 4_000])
async def test_only_credentials_in_force_open_a_relay(coturn: Coturn, age: int) -> None:
    forged = coturn.settings().model_copy(update={"turn_secret": SecretStr("guessed")}) if not age else None
    (server,) = turn.for_client(forged or coturn.settings(), time.time() - age)
    connection = relay_only(server)
    connection.addTransceiver("video", direction="sendonly")
    await connection.setLocalDescription(await connection.createOffer())
    assert "typ relay" not in connection.localDescription.sdp
    await connection.close()


@pytest.mark.default
async def test_a_stun_server_shows_the_gateway_its_outer_address(
    coturn: Coturn, camera: MakeCamera, listener: Any
) -> None:
    stun = IceServer(urls=(f"stun:127.0.0.1:{coturn.port}",))
    peers = Peers(MediaSettings(ice_servers=(stun,), bind=("127.0.0.1",)), (32, 32))
    published = await camera().publish(peers, "s", listener)
    outer = [line for line in published.answer.splitlines() if "typ srflx" in line]
    assert outer
    assert all(" 127.0.0.1 " in line for line in outer)
    await peers.stop()
