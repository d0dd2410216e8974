"""Publishing over a real peer connection on the loopback, to a WHIP endpoint of a few lines."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clients.python.errors import ConnectionLost, ServerProblem
from clients.python.http import Api
from clients.python.playback import Playback
from clients.python.programme import Programme
from clients.python.publisher import Publisher, advertised
from clients.python.source import Source
from tests.clients.python.clips import write_clip


class Endpoint:
    """Takes one source and notes when which frames arrive."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {"video": [], "audio": []}
        self.deleted = asyncio.Event()
        self.query: dict[str, str] = {}
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._reading: list[asyncio.Task[None]] = []

    async def publish(self, request: Request) -> Response:
        self.query = dict(request.query_params)
        self._peer.on("track", lambda track: self._reading.append(asyncio.create_task(self._read(track))))
        await self._peer.setRemoteDescription(RTCSessionDescription((await request.body()).decode(), "offer"))
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        headers = {"Location": "/whip/abc", "ETag": '"1"'}
        return Response(self._peer.localDescription.sdp, 201, headers, media_type="application/sdp")

    async def delete(self, request: Request) -> Response:
        self.deleted.set()
        return Response()

    async def close(self) -> None:
        await self._peer.close()
        await asyncio.gather(*self._reading)

    async def _read(self, track: MediaStreamTrack) -> None:
        with suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                self.times[track.kind].append(frame.time)


@asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, log_level="warning", lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@pytest.mark.default
async def test_a_clip_arrives_in_real_time_and_its_session_ends_with_it(tmp_path: Path) -> None:
    endpoint = Endpoint()
    routes = [
        Route("/whip", lambda request: Response(), methods=["OPTIONS"]),
        Route("/whip/door", endpoint.publish, methods=["POST"]),
        Route("/whip/abc", endpoint.delete, methods=["DELETE"]),
    ]
    source = Source(str(write_clip(tmp_path / "clip.mkv")))
    async with serving(Starlette(routes=routes)) as url, Api(url) as api:
        playback = Playback(Programme(source, hold=False))
        async with Publisher(api, playback, name="door", options={"talk": "off"}) as publisher:
            assert publisher.session == "abc"
            await publisher.wait()
            assert playback.position > 1.9, "it takes as long as it plays"
        await asyncio.wait_for(endpoint.deleted.wait(), 60)
        await endpoint.close()
    assert endpoint.query == {"talk": "off"}
    assert len(endpoint.times["video"]) >= 18
    assert np.diff(endpoint.times["video"]) == pytest.approx(0.1, abs=1e-4)
    assert len(endpoint.times["audio"]) >= 95
    assert np.diff(endpoint.times["audio"]) == pytest.approx(0.02, abs=1e-4)
    for track in playback.tracks:
        late = np.array([wall - playback.wall(at) for at, wall in track.sent])
        assert late.min() > -0.01, "no packet leaves before it is due"
        assert np.median(late) < 1.0, "packets leave when they are due, also on a busy machine"


@pytest.mark.default
async def test_a_broken_path_leaves_the_session_to_be_taken_up_again(tmp_path: Path) -> None:
    endpoint = Endpoint()
    routes = [
        Route("/whip", lambda request: Response(), methods=["OPTIONS"]),
        Route("/whip/door", endpoint.publish, methods=["POST"]),
        Route("/whip/abc", endpoint.delete, methods=["DELETE"]),
    ]
    source = Source(str(write_clip(tmp_path / "clip.mkv")))

    async def publish_until_it_breaks(api: Api) -> None:
        async with Publisher(api, Playback(Programme(source)), name="door") as publisher:
            while not all(endpoint.times.values()):  # noqa: ASYNC110 - it connects on its own
                await asyncio.sleep(0.01)
            await endpoint.close()
            await publisher.wait()

    async with serving(Starlette(routes=routes)) as url, Api(url) as api:
        with pytest.raises(ConnectionLost, match="path to the server broke"):
            await asyncio.wait_for(publish_until_it_breaks(api), 60)
    assert not endpoint.deleted.is_set()


async def test_a_device_is_read_from_the_start_on_and_stamped_from_its_first_frame() -> None:
    source = Source("lavfi:testsrc=size=64x48:rate=10:duration=1")
    source.live = True
    playback = Playback(Programme(source, hold=False))
    playback.prepare()
    assert not playback._thread.is_alive(), "a device cannot be read ahead"
    await playback.start()
    assert playback.video is not None
    stamps = [(await playback.video.recv()).pts for _ in range(3)]
    assert stamps == [0, 9_000, 18_000]
    assert playback.position > 0.19
    await playback.stop()


@pytest.mark.default
async def test_a_refusal_is_told_and_leaves_nothing_running(tmp_path: Path) -> None:
    async def refuse(request: Request) -> Response:
        return JSONResponse({"detail": "Full.", "code": "server_full", "remedy": "Wait."}, 503, {"Retry-After": "5"})

    routes = [
        Route("/whip", lambda request: Response(), methods=["OPTIONS"]),
        Route("/whip", refuse, methods=["POST"]),
    ]
    source = Source(str(write_clip(tmp_path / "clip.mkv")))
    async with serving(Starlette(routes=routes)) as url, Api(url) as api:
        playback = Playback(Programme(source))
        with pytest.raises(ServerProblem) as refusal:
            async with Publisher(api, playback):
                pytest.fail("it was refused")
    assert (refusal.value.code, refusal.value.remedy, refusal.value.retry_after) == ("server_full", "Wait.", 5.0)
    assert not playback._thread.is_alive()


@pytest.mark.default
async def test_a_server_that_is_not_there_is_told_with_a_remedy(tmp_path: Path) -> None:
    source = Source(str(write_clip(tmp_path / "clip.mkv")))
    async with Api("http://127.0.0.1:9") as api:
        with pytest.raises(ConnectionLost, match="does not answer") as refusal:
            async with Publisher(api, Playback(Programme(source))):
                pytest.fail("there is no server")
    assert refusal.value.exit_status == 5


def test_ice_servers_are_read_from_link_headers() -> None:
    response = httpx.Response(
        200,
        headers=[
            ("Link", '<stun:stun.example.net>; rel="ice-server"'),
            (
                "Link",
                '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="user"; credential="secret"; '
                'credential-type="password", <turns:turn.example.net>; rel="ice-server"',
            ),
            ("Link", '<https://example.net/help>; rel="help"'),
        ],
    )
    servers = advertised(response)
    assert [server.urls for server in servers] == [
        "stun:stun.example.net",
        "turn:turn.example.net?transport=udp",
        "turns:turn.example.net",
    ]
    assert (servers[1].username, servers[1].credential) == ("user", "secret")
