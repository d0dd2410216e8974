"""WHIP on the loopback: an aiortc peer as the camera, real ICE, DTLS and codecs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from aioice import Connection
from aioice.mdns import MDnsProtocol
from aiortc import RTCSessionDescription
from aiortc.rtcicetransport import candidate_from_aioice
from aiortc.sdp import candidate_to_sdp

from stream_service.errors import (
    Conflict,
    InvalidSdp,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    UnsupportedMedia,
)
from stream_service.media import MediaSettings, Peers, network
from stream_service.media.fragment import Fragment, read_fragment, write_fragment
from stream_service.media.restart import Restart, make_restartable
from stream_service.types import BreakKind, MediaBreak

pytestmark = pytest.mark.default
MakeCamera = Callable[..., Any]


async def test_picture_and_sound_stay_within_40_ms(peers: Peers, camera: MakeCamera, listener: Any) -> None:
    source = camera()
    late = source.watch_lateness()
    await source.publish(peers, "s", listener)
    await listener.until(lambda seen: len(seen.beeps) >= 6 and len(seen.flashes) >= 6)
    skews = [abs(flash - beep) for beep in listener.beeps for flash in listener.flashes if abs(flash - beep) < 0.5]
    assert len(skews) >= 5
    print(f"skew {1000 * np.percentile(skews, 95):.1f} ms, the sender's own error {1000 * max(late):.1f} ms")
    allowed = 0.040 + max(late) - min(late)  # on a busy machine the camera itself is late
    assert np.percentile(skews, 95) <= allowed
    stats = peers.stats("s")
    assert stats["av_aligned"] == 1.0
    assert stats["av_skew_ms_p95"] <= 1000 * allowed
    assert (stats["packets_lost"], stats["breaks"]) == (0, 0)


@pytest.mark.parametrize("kinds", [{"video": True, "audio": False}, {"video": False, "audio": True}])
async def test_one_track_is_enough(peers: Peers, camera: MakeCamera, listener: Any, kinds: dict[str, bool]) -> None:
    await camera(**kinds).publish(peers, "s", listener)
    await listener.until(lambda seen: len(seen.frames) >= 10 or len(seen.chunks) >= 10)
    assert listener.told == [(kinds["video"], kinds["audio"])]
    assert bool(listener.frames) == kinds["video"]
    assert bool(listener.chunks) == kinds["audio"]


async def test_the_answer_leaves_the_handshake_to_the_camera(peers: Peers, camera: MakeCamera, listener: Any) -> None:
    published = await peers.publish("s", await camera().offer(), listener)
    assert published.answer.count("a=setup:passive") == 2
    assert published.answer.count("a=recvonly") == 2
    assert "b=AS:2000" in published.answer
    assert published.etag.startswith('"')


async def test_a_camera_that_leaves_is_told_and_one_that_returns_rejoins(
    peers: Peers, camera: MakeCamera, listener: Any
) -> None:
    first = camera()
    await first.publish(peers, "s", listener)
    await listener.until(lambda seen: len(seen.frames) >= 20 and len(seen.chunks) >= 20)
    await first.close()
    await listener.until(lambda seen: isinstance(seen.told[-1], str))
    last = max(listener.frames[-1].at, listener.chunks[-1].end)
    await camera().publish(peers, "s", listener)
    heard = len(listener.frames)
    await listener.until(lambda seen: len(seen.frames) >= heard + 10)
    assert listener.told[2:4] == [(True, True), "back"]
    brk = listener.told[4]
    assert isinstance(brk, MediaBreak)
    assert brk.kind is BreakKind.GAP
    assert last < brk.at < last + 10
    assert listener.frames[heard].at == pytest.approx(brk.at, abs=0.3)


async def test_a_second_camera_takes_over_from_a_live_one(peers: Peers, camera: MakeCamera, listener: Any) -> None:
    await camera(audio=False).publish(peers, "s", listener)
    await listener.until(lambda seen: len(seen.frames) >= 10)
    last = listener.frames[-1].at
    await camera().publish(peers, "s", listener)
    await listener.until(lambda seen: len(seen.told) >= 3 and len(seen.chunks) >= 5)
    assert listener.told[:2] == [(True, False), (True, True)]
    assert [brk.kind for brk in listener.told[2:]] == [BreakKind.GAP]
    assert last < listener.told[2].at < last + 3


async def test_two_offers_at_once_leave_one_source(peers: Peers, camera: MakeCamera, listener: Any) -> None:
    offers = [await camera().offer() for _ in range(2)]
    await asyncio.gather(*(peers.publish("s", offer, listener) for offer in offers))
    running = [task for task in asyncio.all_tasks() if task.get_name() == "whip-peer"]
    assert len(running) == 1
    await peers.end("s")
    assert [task for task in asyncio.all_tasks() if task.get_name() == "whip-peer"] == []


async def test_a_session_that_ends_during_negotiation_leaves_nothing(
    peers: Peers, camera: MakeCamera, listener: Any
) -> None:
    publishing = asyncio.create_task(peers.publish("s", await camera().offer(), listener))
    await asyncio.sleep(0)
    await peers.end("s")
    with pytest.raises(Conflict):
        await publishing
    assert listener.told == []
    assert [task for task in asyncio.all_tasks() if task.get_name() == "whip-peer"] == []


async def test_a_refused_offer_leaves_the_source_alone(peers: Peers, camera: MakeCamera, listener: Any) -> None:
    source = camera()
    await source.publish(peers, "s", listener)
    await listener.until(lambda seen: len(seen.frames) >= 5)
    offer = await camera(audio=False).offer()
    for bad, error in (
        ("v=0\r\n", InvalidSdp),
        (offer.replace("VP8", "AV1").replace("H264", "H266"), UnsupportedMedia),
    ):
        with pytest.raises(error):
            await peers.publish("s", bad, listener)
    heard = len(listener.frames)
    await listener.until(lambda seen: len(seen.frames) >= heard + 10)
    assert listener.told == [(True, True)]


async def test_a_camera_that_is_turned_breaks_the_segment(peers: Peers, camera: MakeCamera, listener: Any) -> None:
    source = camera(audio=False)
    await source.publish(peers, "s", listener)
    await listener.until(lambda seen: len(seen.frames) >= 10)
    source.flashes.size = (240, 320)
    await listener.until(lambda seen: len(seen.told) >= 2)
    assert listener.told[1].kind is BreakKind.RESOLUTION
    assert listener.frames[-1].pixels().shape == (32, 32, 3)


async def test_a_camera_that_stops_sending_is_noticed(peers: Peers, camera: MakeCamera, listener: Any) -> None:
    source = camera()
    await source.publish(peers, "s", listener)
    await listener.until(lambda seen: len(seen.frames) >= 10)
    for sender in source.connection.getSenders():
        sender.replaceTrack(None)
    await listener.until(lambda seen: len(seen.told) >= 2)
    assert listener.told[1].startswith("no media for")


async def test_a_camera_that_never_connects_is_lost(camera: MakeCamera, listener: Any) -> None:
    peers = Peers(MediaSettings(connect_s=0.3), (32, 32))
    await peers.publish("s", await camera().offer(), listener)
    await listener.until(lambda seen: len(seen.told) >= 2)
    assert listener.told[1].startswith("no media for")
    await peers.stop()


async def test_hidden_addresses_neither_break_nor_delay(
    peers: Peers, camera: MakeCamera, listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[str] = []  # which takes a second each

    async def resolve(_: MDnsProtocol, hostname: str, **__: object) -> None:
        looked_up.append(hostname)

    monkeypatch.setattr(MDnsProtocol, "resolve", resolve)
    source = camera(audio=False)
    offer = await source.offer()
    lines = [line for line in offer.splitlines() if "candidate" not in line]
    hidden = "a=candidate:1 1 udp 2113937151 9c6c1e6e-1111-2222-3333-444444444444.local 53773 typ host"
    published = await peers.publish("s", "\r\n".join([*lines, hidden, "a=end-of-candidates"]) + "\r\n", listener)
    await source.connection.setRemoteDescription(RTCSessionDescription(published.answer, "answer"))
    await listener.until(lambda seen: len(seen.frames) >= 5)
    assert looked_up == []


async def test_sessions_do_not_feel_each_other(peers: Peers, camera: MakeCamera, listener: Any) -> None:
    other = type(listener)()
    leaving = camera(audio=False)
    await camera(audio=False).publish(peers, "a", listener)
    await leaving.publish(peers, "b", other)
    await other.until(lambda seen: len(seen.frames) >= 5)
    await leaving.close()
    before = peers.totals()
    await peers.end("b")
    after = peers.totals()
    assert after["frames"] >= before["frames"] >= 5
    assert after["packets_received"] >= before["packets_received"] > 5
    heard = len(listener.frames)
    await listener.until(lambda seen: len(seen.frames) >= heard + 10)
    assert listener.told == [(True, False)]
    with pytest.raises(NotFound):
        peers.stats("b")


async def test_trickle_asks_for_the_right_ice_session(peers: Peers, camera: MakeCamera, listener: Any) -> None:
    published = await peers.publish("s", await camera().offer(), listener)
    fragment = "a=candidate:1 1 udp 2113937151 127.0.0.1 53773 typ host\r\na=end-of-candidates\r\n"
    with pytest.raises(PreconditionRequired):
        await peers.trickle("s", fragment, None)
    with pytest.raises(PreconditionFailed):
        await peers.trickle("s", fragment, '"another"')
    with pytest.raises(NotFound):
        await peers.trickle("nobody", fragment, published.etag)
    with pytest.raises(InvalidSdp):
        await peers.trickle("s", "nonsense", published.etag)
    with pytest.raises(InvalidSdp):
        await peers.trickle("s", fragment, "*")
    trickled = await peers.trickle("s", fragment, published.etag)
    assert (trickled.answer, trickled.etag) == (None, None)


async def test_ice_restarts_under_a_running_source(peers: Peers, camera: MakeCamera, listener: Any) -> None:
    source = camera()
    make_restartable(transport := source.connection.getTransceivers()[0].sender.transport.transport)
    published = await source.publish(peers, "s", listener)
    await listener.until(lambda seen: len(seen.frames) >= 10)
    before = peers._sources["s"].peer._transport().transport._connection
    restart = Restart(transport, [], lambda _: None)
    ufrag, password, candidates = await restart.prepare()
    trickled = await peers.trickle("s", write_fragment(ufrag, password, candidates, "0"), "*")
    assert trickled.etag not in (None, published.etag)
    assert trickled.answer is not None
    remote = read_fragment(trickled.answer, 64_000)
    await restart.trickle(remote.candidates)
    assert await restart.run(remote, 5.0)
    heard = len(listener.frames)
    await listener.until(lambda seen: len(seen.frames) >= heard + 30)
    after = peers._sources["s"].peer._transport().transport._connection
    assert after is not before
    assert before._closed
    assert listener.told == [(True, True)]
    with pytest.raises(PreconditionFailed):
        await peers.trickle("s", "a=end-of-candidates\r\n", published.etag)


async def test_a_restart_that_fails_leaves_the_source_running(peers: Peers, camera: MakeCamera, listener: Any) -> None:
    source = camera(audio=False)
    await source.publish(peers, "s", listener)
    await listener.until(lambda seen: len(seen.frames) >= 5)
    transport = peers._sources["s"].peer._transport().transport
    restart = Restart(transport, [], lambda _: None)
    await restart.prepare()
    assert not await restart.run(Fragment("abcd", "abcdefghijklmnopqrstuvwx", ()), 0.2)
    heard = len(listener.frames)
    await listener.until(lambda seen: len(seen.frames) >= heard + 10)


async def test_a_connection_that_is_over_cannot_restart(peers: Peers, camera: MakeCamera, listener: Any) -> None:
    source = camera(audio=False)
    await source.publish(peers, "s", listener)
    await listener.until(lambda seen: len(seen.frames) >= 5)
    await source.close()
    await listener.until(lambda seen: isinstance(seen.told[-1], str))
    connection = Connection(ice_controlling=True)
    await connection.gather_candidates()
    candidates = [candidate_to_sdp(candidate_from_aioice(c)) for c in connection.local_candidates]
    with pytest.raises(Conflict):
        await peers.trickle("s", write_fragment("abcd", "abcdefghijklmnopqrstuvwx", candidates, "0"), "*")
    await connection.close()


async def test_one_packet_in_ten_may_be_lost(peers: Peers, camera: MakeCamera, listener: Any) -> None:
    source = camera()
    transport = source.connection.getTransceivers()[0].sender.transport.transport
    send, dice, lost = transport._send, random.Random(5), []

    async def lossy(packet: bytes) -> None:
        is_media = 127 < packet[0] < 192 and not 192 <= packet[1] <= 223
        if is_media and len(listener.frames) > 20 and dice.random() < 0.1:
            lost.append(packet)
        else:
            await send(packet)

    transport._send = lossy
    await source.publish(peers, "s", listener)
    await listener.until(lambda seen: len(seen.frames) >= 150)
    assert len(lost) >= 15
    times = [frame.at for frame in listener.frames]
    steps = np.diff(times[30:])
    assert np.percentile(steps, 95) < 0.05
    assert steps.max() < 0.5
    assert [what for what in listener.told if what != (True, True)] == []
    heard = sum(len(chunk.samples) for chunk in listener.chunks) / 16_000
    assert heard > 0.8 * (listener.chunks[-1].end - listener.chunks[0].at)


@pytest.mark.parametrize(
    ("address", "ports"), [("::1", None), ("::1", (45_910, 45_919)), ("127.0.0.1", (45_920, 45_929))]
)
async def test_any_address_and_port_that_is_asked_for(
    camera: MakeCamera, listener: Any, address: str, ports: tuple[int, int] | None
) -> None:
    settings = MediaSettings(bind=(address,), udp_ports=ports)
    peers = Peers(settings, (32, 32))
    source = camera()
    network.bind(_ice(source), MediaSettings(bind=(address,)))
    published = await source.publish(peers, "s", listener)
    await listener.until(lambda seen: len(seen.frames) >= 5 and len(seen.chunks) >= 5)
    (pair,) = _ice(source)._nominated.values()
    assert pair.remote_candidate.host == address
    assert ports is None or ports[0] <= pair.remote_candidate.port <= ports[1]
    assert published.answer.count(f" {address} ") == 2
    await peers.stop()


def _ice(source: Any) -> Connection:
    connection: Connection = source.connection.getSenders()[0].transport.transport._connection
    return connection
