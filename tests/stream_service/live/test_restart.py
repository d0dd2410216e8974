"""The gateway is killed in the middle of an answer and started again on the same log."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
import websockets

from stream_service.answers import events
from tests.stream_service.answers.stores import opened
from tests.stream_service.live.camera import Camera
from tests.stream_service.live.conftest import Server
from tests.stream_service.live.subscriber import subscribed

pytestmark = [pytest.mark.default, pytest.mark.timeout(300)]


async def test_a_killed_gateway_loses_no_event_and_its_cameras_may_rejoin(model: str, tmp_path: Path) -> None:
    log = f"sqlite:///{tmp_path}/events.db"
    server = Server(model, answers__log=log)
    async with Camera(server.url, "/whip/porch") as porch, Camera(server.url, "/whip/shed") as shed:
        session, gone = porch.session, shed.session
        async with subscribed(server.url, "porch") as first, subscribed(server.url, "shed") as other:
            await asyncio.gather(first.until("window.fused", 2), other.until("window.fused"))
            async with server.http() as http:
                assert (await http.patch("/v1/sessions/porch", json={"budget": 300})).status_code == 200
                text = {"text": "What do you see, and what did you hear before it?"}
                question = (await http.post("/v1/sessions/porch/questions", json=text)).json()["question"]
            await first.until("answer.delta")
            await asyncio.to_thread(server.stop, signal.SIGKILL)

    server = Server(model, answers__log=log, media__grace_s=10)
    async with subscribed(server.url, session, first.last) as late:
        lost = await late.until("source.lost")
        assert isinstance(lost, events.SourceLost)
        assert lost.reason == "the server was restarted"
        assert len(ends(first.seen + late.seen, question)) == 1
        restarted = next(event for event in late.seen if isinstance(event, events.EngineRestarted))
        assert (restarted.windows_refed, restarted.windows_lost > 1) == (0, True)
        async with Camera(server.url, "/whip/porch") as again:
            assert again.session == session
            await late.until("source.back")
            window = await late.until("window.fused")
            assert isinstance(window, events.WindowFused)
            assert window.index == restarted.windows_lost
            assert window.start >= first.seen[-1].at
            async with server.http() as http:
                assert (await http.get("/v1/sessions/porch")).json()["budget"] == 300
                answer = await http.post("/v1/sessions/porch/questions", json={"text": "What is it now?"})
                assert answer.status_code == 202
            await late.until("answer.done")
            async with subscribed(server.url, "porch") as replay:
                while replay.last < late.last:
                    await replay.next()
            assert replay.seen[: late.last] == first.seen + late.seen
            await ended_alone(server, gone, other.last)

            assert await asyncio.to_thread(server.stop) == 0, "".join(server.output)
            with pytest.raises(websockets.ConnectionClosed) as stopped:
                await late.until("session.closed")
    assert stopped.value.rcvd is not None
    assert stopped.value.rcvd.code == 1012
    async with opened(log) as logs:
        (open_still,) = await logs.interrupted()
        assert open_still.opening.session == session
        assert open_still.unanswered == {}


async def ended_alone(server: Server, session: str, after: int) -> None:
    async with subscribed(server.url, session, after) as late:
        closed = await late.until("session.closed")
        assert isinstance(closed, events.SessionClosed)
        assert closed.reason == "the source did not come back"
    async with subscribed(server.url, "shed", late.last - 1) as past:  # a name still finds what is over
        await past.until("session.closed")


def ends(seen: list[events.Event], question: str) -> list[str]:
    ending = events.AnswerDone | events.AnswerCancelled
    return [event.type for event in seen if isinstance(event, ending) and event.question == question]
