"""The whole service on loopback: WebRTC in, questions by HTTP, answers from the WebSocket."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import imageio_ffmpeg
import pytest
import websockets

from stream_service.answers import events
from tests.stream_service.live.camera import Camera
from tests.stream_service.live.conftest import Server
from tests.stream_service.live.subscriber import subscribed

pytestmark = [pytest.mark.default, pytest.mark.timeout(300)]


async def ask(server: Server, session: str, text: str = "What colour is the bar?") -> str:
    async with server.http() as http:
        answer = await http.post(f"/v1/sessions/{session}/questions", json={"text": text})
        assert answer.status_code == 202, answer.text
        question: str = answer.json()["question"]
        return question


async def test_from_camera_to_answer_and_on_after_a_reconnection(server: Server) -> None:
    async with Camera(server.url) as camera:
        async with subscribed(server.url, camera.session) as first:
            window = await first.until("window.fused", 2)
            assert isinstance(window, events.WindowFused)
            assert (window.start, window.end) == (2.0, 4.0)
            assert window.seen.video > window.kept.video > 0
            assert window.seen.audio > window.kept.audio > 0
            async with server.http() as http:  # a token or two a character, for every model
                text = {"text": "鬱" * 999}
                refused = await http.post(f"/v1/sessions/{camera.session}/questions", json=text)
            assert (refused.status_code, refused.json()["field"]) == (400, "text")
            assert "tokens of the model" in refused.json()["detail"]
            question = await ask(server, camera.session)
            started = await first.until("answer.started")
            assert isinstance(started, events.AnswerStarted)
            assert started.question == question
        async with subscribed(server.url, camera.session, first.last) as second:
            done = await second.until("answer.done")
        assert isinstance(done, events.AnswerDone)
        deltas = [e.text for e in first.seen + second.seen if isinstance(e, events.AnswerDelta)]
        assert "".join(deltas) == done.text
        assert done.tokens_per_layer[0] >= done.tokens_per_layer[-1] > 0
        assert sum(sum(chunk.video[:1] + chunk.audio[:1]) for chunk in done.survivors) == done.tokens_per_layer[0]
        assert 0 < done.deep_share < 1

        async with server.http() as http:
            view = (await http.get(f"/v1/sessions/{camera.session}")).json()
            assert view["state"] == "live"
            assert view["source"]["packets_received"] > 100
            assert (await http.delete(camera.location)).status_code == 200
        async with subscribed(server.url, camera.session, second.last) as third:
            closed = await third.until("session.closed")
        assert isinstance(closed, events.SessionClosed)
        assert closed.reason == "the source ended"


async def test_a_camera_that_dies_is_missed_and_may_come_back(server: Server) -> None:
    async with Camera(server.url, "/whip/porch") as camera, subscribed(server.url, "porch") as subscriber:
        await subscriber.until("window.fused")
        async with server.http() as http:
            taken = await http.post("/whip/porch", content="v=0", headers={"content-type": "application/sdp"})
            assert (taken.status_code, taken.json()["code"]) == (409, "conflict")
        await camera.connection.close()
        lost = await subscriber.until("source.lost")
        assert isinstance(lost, events.SourceLost)
        assert lost.grace_left == 30.0
        await ask(server, "porch")
        await subscriber.until("answer.done")
        async with Camera(server.url, "/whip/porch") as again:
            assert again.session == camera.session
            await subscriber.until("source.back")
            window = await subscriber.until("window.fused")
            assert isinstance(window, events.WindowFused)
            assert window.start > lost.since
        async with server.http() as http:
            assert (await http.delete("/v1/sessions/porch")).status_code == 204


@pytest.fixture
def ffmpeg(server: Server, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An unmodified ffmpeg that publishes to ``/whip/ffmpeg``."""
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-re",
        "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30",
        "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
        "-c:v", "libx264", "-profile:v", "baseline", "-bf", "0", "-g", "30", "-pix_fmt", "yuv420p",
        "-c:a", "libopus", "-ac", "2", "-t", "60", "-f", "whip", f"{server.url}/whip/ffmpeg",
    ]  # fmt: skip
    errors = tmp_path / "ffmpeg.log"
    with errors.open("wb") as log:
        camera = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL)
    with httpx.Client(base_url=server.url, timeout=60) as http:
        while http.get("/v1/sessions/ffmpeg").status_code == 404:
            assert camera.poll() is None, errors.read_text()
            time.sleep(0.1)
    yield camera
    camera.kill()
    camera.wait()


async def test_ffmpeg_is_the_camera_while_others_ask_and_subscribe(
    server: Server, ffmpeg: subprocess.Popen[bytes]
) -> None:
    async with subscribed(server.url, "ffmpeg") as subscriber:
        window = await subscriber.until("window.fused", 2)
        assert isinstance(window, events.WindowFused)
        assert window.seen.video
        assert window.seen.audio
        await ask(server, "ffmpeg", "What do you see?")
        await subscriber.until("answer.done")
        ffmpeg.send_signal(signal.SIGINT)  # it says goodbye with DELETE
        closed = await subscriber.until("session.closed")
        assert isinstance(closed, events.SessionClosed)
        assert closed.reason == "the source ended"


async def test_a_bad_offer_hurts_nobody(server: Server) -> None:
    async with Camera(server.url) as camera, subscribed(server.url, camera.session) as subscriber:
        async with server.http() as http:
            for offer, code in (("", "invalid_sdp"), ("hello", "invalid_sdp"), ("v=0\r\n" * 20_000, "too_large")):
                answer = await http.post("/whip", content=offer, headers={"content-type": "application/sdp"})
                assert answer.json()["code"] == code, answer.text
                assert answer.json()["remedy"]
        await subscriber.until("window.fused")


@pytest.mark.parametrize("only", ["video", "audio"])
async def test_one_track_is_enough(server: Server, only: str) -> None:
    async with (
        Camera(server.url, video=only == "video", audio=only == "audio") as camera,
        subscribed(server.url, camera.session) as subscriber,
    ):
        window = await subscriber.until("window.fused")
        assert isinstance(window, events.WindowFused)
        assert (window.seen.video > 0, window.seen.audio > 0) == (only == "video", only == "audio")
        await ask(server, camera.session, "What do you see and hear?")
        await subscriber.until("answer.done")


async def test_a_guarded_server_that_is_full(model: str) -> None:
    token = "a-token-of-the-operator"
    with Server(model, server__tokens=[token], engine__max_sessions=1) as server:
        bearer = {"Authorization": f"Bearer {token}"}
        async with Camera(server.url, "/whip/door?barge_in=refuse", token=token) as camera, server.http() as http:
            sdp = {"Content-Type": "application/sdp"}
            offer = camera.connection.localDescription.sdp
            stranger = await http.post("/whip", content=offer, headers=sdp)
            assert (stranger.status_code, stranger.json()["code"]) == (401, "unauthorised")
            second = await http.post("/whip", content=offer, headers=sdp | bearer)
            assert (second.status_code, second.json()["code"]) == (503, "server_full")
            assert int(second.headers["retry-after"]) > 0
            async with subscribed(server.url, "door", token=token) as subscriber:
                await subscriber.until("window.fused")
                questions = "/v1/sessions/door/questions"
                with server.engine_paused():  # the first answer lasts until the second question was refused
                    first = await http.post(questions, json={"text": "What is this?"}, headers=bearer)
                    assert first.status_code == 202
                    refused = await http.post(questions, json={"text": "And this?"}, headers=bearer)
                    assert (refused.status_code, refused.json()["code"]) == (429, "busy")
                await subscriber.until("answer.done")
                address = f"{server.url.replace('http', 'ws', 1)}/v1/sessions/door/answers"
                async with websockets.connect(address, additional_headers=bearer) as talker:
                    await talker.send("x" * 70_000)
                    with pytest.raises(websockets.ConnectionClosedError) as closed:
                        _ = [message async for message in talker]
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1009, "a message that long is not even read"
        assert await asyncio.to_thread(server.stop) == 0, "".join(server.output)


async def test_stopping_finishes_the_running_answer_and_says_goodbye(model: str) -> None:
    with Server(model) as server:
        async with Camera(server.url) as camera:
            async with subscribed(server.url, camera.session) as subscriber:
                await subscriber.until("window.fused")
                await ask(server, camera.session)
                await subscriber.until("question.accepted")
                server.process.send_signal(signal.SIGTERM)
                await subscriber.until("answer.done")
                closed = await subscriber.until("session.closed")
                assert isinstance(closed, events.SessionClosed)
                assert closed.reason == "the server stopped"
                with pytest.raises(websockets.ConnectionClosedOK):
                    await subscriber.next()
            assert await asyncio.to_thread(server.wait) == 0, "".join(server.output)


async def test_a_memory_is_made_smaller_and_larger_while_it_is_filled(server: Server) -> None:
    async with (
        Camera(server.url) as camera,
        subscribed(server.url, camera.session) as subscriber,
        server.http() as http,
    ):
        path = f"/v1/sessions/{camera.session}"
        whole = (await http.get(path)).json()
        held = 0
        while held <= 200:
            window = await subscriber.until("window.fused")
            assert isinstance(window, events.WindowFused)
            held = window.store_tokens
        question = await ask(server, camera.session)
        await subscriber.until("answer.started")
        answer = await http.patch(path, json={"budget": 200})
        assert answer.status_code == 200, answer.text
        changed = await subscriber.until("session.changed")
        assert isinstance(changed, events.SessionChanged)
        assert answer.json() == {name: getattr(changed, name) for name in answer.json()}
        assert (changed.budget, changed.store_tokens <= 200) == (200, True)
        assert changed.session_bytes < whole["session_bytes"]
        evicted = await subscriber.until("store.evicted")
        assert isinstance(evicted, events.StoreEvicted)
        assert evicted.tokens > 0
        assert [one.question for one in subscriber.seen if isinstance(one, events.AnswerDone)] == [question]
        window = await subscriber.until("window.fused")
        assert isinstance(window, events.WindowFused)
        assert window.store_tokens <= 200
        refused = await http.patch(path, json={"budget": whole["budget"] + 1})
        assert (refused.status_code, refused.json()["field"]) == (400, "budget")
        assert (await http.patch(path, json={"budget": whole["budget"]})).status_code == 200
        assert (await http.get(path)).json()["session_bytes"] == whole["session_bytes"]
        while window.store_tokens <= 200:
            window = await subscriber.until("window.fused")
            assert isinstance(window, events.WindowFused)
        await ask(server, camera.session)
        await subscriber.until("answer.done")


async def test_a_killed_engine_is_replaced_and_the_session_goes_on(server: Server) -> None:
    async with Camera(server.url) as camera, subscribed(server.url, camera.session) as subscriber:
        await subscriber.until("window.fused", 2)
        os.kill(server.engine(), signal.SIGKILL)
        restarted = await subscriber.until("engine.restarted")
        assert isinstance(restarted, events.EngineRestarted)
        assert restarted.windows_refed >= 2
        await ask(server, camera.session)
        await subscriber.until("answer.done")
