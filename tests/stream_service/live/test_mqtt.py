"""Questions and answers of a real session over a real broker, which is killed in the middle of an answer."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from clients.mqtt.assistant import Assistant, Broker, Event, MqttProblem
from stream_service.answers import events
from tests.stream_service.answers.broker import Listener, Mosquitto
from tests.stream_service.live.camera import Camera
from tests.stream_service.live.conftest import Server
from tests.stream_service.live.subscriber import subscribed

pytestmark = [pytest.mark.default, pytest.mark.timeout(300)]


def heard_until(assistant: Assistant, type: str) -> list[Event]:
    heard = []
    for event in assistant.events(timeout_s=60):
        heard.append(event)
        if event["type"] == type:
            break
    return heard


async def test_over_mqtt_a_question_is_answered_and_nothing_is_lost_with_the_broker(model: str, tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    server = Server(model, answers__log=f"sqlite:///{tmp_path}/events.db", mqtt__host="127.0.0.1",
                    mqtt__port=broker.port)  # fmt: skip
    try:
        async with Camera(server.url, "/whip/porch"), subscribed(server.url, "porch") as subscriber:
            await subscriber.until("window.fused")
            address = Broker("127.0.0.1", broker.port)
            stranger = await asyncio.to_thread(Assistant(address, "cellar").__enter__)
            with stranger, pytest.raises(MqttProblem, match="There is no session"):
                await asyncio.to_thread(stranger.ask, "Is anybody there?")
            with await asyncio.to_thread(Assistant(address, "porch", client_id="kept").__enter__) as assistant:
                answer = await asyncio.to_thread(assistant.ask, "What  do you see?")
                accepted = await subscriber.until("question.accepted")
                assert isinstance(accepted, events.QuestionAccepted)
                assert (accepted.source, accepted.text) == ("mqtt", "What do you see?")
                done = await subscriber.until("answer.done")
                assert answer == done.model_dump(mode="json")

                async with server.http() as http:
                    asked = {"text": "What do you see, and what did you hear before it?"}
                    assert (await http.post("/v1/sessions/porch/questions", json=asked)).status_code == 202
                await subscriber.until("answer.delta")
                broker.kill()
                second = await subscriber.until("answer.done")
                await asyncio.to_thread(broker.start)
                heard = await asyncio.to_thread(heard_until, assistant, "answer.done")
        assert heard[-1]["seq"] == second.seq
        assert [event["seq"] for event in heard] == list(range(heard[0]["seq"], second.seq + 1))
        assert "question.accepted" in [event["type"] for event in heard]

        status = await asyncio.to_thread(Listener, broker, "omnidrop/status")
        await asyncio.to_thread(status.until, "omnidrop/status")
        await asyncio.to_thread(server.stop, signal.SIGKILL)
        await asyncio.to_thread(status.until, "omnidrop/status", 2)
        assert status.of("omnidrop/status") == ["online", "offline"]
        status.close()
    finally:
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)
        broker.kill()
