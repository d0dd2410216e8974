"""The bridge against a real Mosquitto."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from stream_service.answers.log import EventLog, Opening
from stream_service.answers.mqtt import Bridge
from stream_service.answers.mqtt_settings import MqttSettings
from stream_service.answers.store import SqlLogs, Stored
from stream_service.errors import LogUnavailable, NotFound, StartupError
from tests.stream_service.answers.broker import Listener, Mosquitto, send
from tests.stream_service.answers.stores import durable, opened, url_of, write

pytestmark = [pytest.mark.default, pytest.mark.timeout(240)]
Listen = Callable[..., Awaitable[Listener]]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    yield broker
    broker.kill()


@pytest.fixture
async def logs(tmp_path: Path) -> AsyncIterator[SqlLogs]:
    async with opened(url_of("sqlite", tmp_path), history=100) as logs:
        yield logs


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Opens listeners, and closes them whatever becomes of the test."""
    opened: list[Listener] = []

    async def open_one(broker: Mosquitto, *topics: str, **options: Any) -> Listener:
        listener = await asyncio.to_thread(Listener, broker, *topics, **options)
        opened.append(listener)
        return listener

    yield open_one
    for listener in opened:
        listener.close()


class Service:
    """What the bridge asks; it knows the session ``porch``."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.refused: list[str] = []

    def ask(self, key: str, text: str) -> None:
        if key != "porch":
            raise NotFound(f"There is no session {key!r}.", remedy="Check the name.")
        self.asked.append((key, text))


@asynccontextmanager
async def bridged(
    broker: Mosquitto, logs: SqlLogs, service: Service | None = None, **settings: Any
) -> AsyncIterator[Bridge]:
    service = service or Service()
    bridge = Bridge(
        MqttSettings(host="127.0.0.1", port=broker.port, **settings),
        logs,
        ask=service.ask,
        names=lambda: ["porch"],
        count=service.refused.append,
        release="1.2",
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bridge.run())
        async with asyncio.timeout(60):
            while not bridge.connected and not running.done():  # noqa: ASYNC110 - another thread or process decides
                await asyncio.sleep(0.01)
        yield bridge
        bridge.stop()


def line(seq: int, kind: str = "answer.delta") -> str:
    return json.dumps({"type": kind, "seq": seq, "session": "s"}, separators=(",", ":"))


def say(log: EventLog, count: int, kind: str = "answer.delta") -> None:
    for _ in range(count):
        write(log, line(log.last + 1, kind))


async def test_events_answers_and_status_are_published_in_order(
    broker: Mosquitto, logs: SqlLogs, listen: Listen
) -> None:
    listener = await listen(broker, "omnidrop/#")
    async with bridged(broker, logs):
        log = logs.open(Opening("s", "porch"))
        say(log, 150)
        say(log, 1, "answer.done")
        payloads = await asyncio.to_thread(listener.until, "omnidrop/porch/events", 151)
        await asyncio.to_thread(listener.until, "omnidrop/porch/answers")
        assert payloads == [line(seq) for seq in range(1, 151)] + [line(151, "answer.done")]
        assert listener.of("omnidrop/porch/answers") == [line(151, "answer.done")]
        late = await listen(broker, "omnidrop/status")
        await asyncio.to_thread(late.until, "omnidrop/status")
        assert late.messages == [("omnidrop/status", "online", True)]
    await asyncio.to_thread(listener.until, "omnidrop/status", 2)
    assert listener.of("omnidrop/status") == ["online", "offline"]


async def test_what_happens_while_the_broker_is_dead_is_delivered_after(
    broker: Mosquitto, logs: SqlLogs, listen: Listen
) -> None:
    listener = await listen(broker, "omnidrop/#", options=("-c", "-i", "kept"))
    async with bridged(broker, logs) as bridge:
        log = logs.open(Opening("s", "porch"))
        say(log, 40)
        await asyncio.to_thread(listener.until, "omnidrop/porch/events", 20)
        broker.kill()  # while messages are on their way
        say(log, 60)
        say(log, 1, "answer.done")
        await durable(log)
        async with asyncio.timeout(60):
            while bridge.connected:  # noqa: ASYNC110 - another thread or process decides
                await asyncio.sleep(0.01)
        await asyncio.to_thread(broker.start)
        await asyncio.to_thread(listener.until, "omnidrop/porch/answers")
    seqs = [event["seq"] for event in listener.events("omnidrop/porch/events")]
    assert sorted(set(seqs)) == list(range(1, 102))
    first_times = [seq for place, seq in enumerate(seqs) if seq not in seqs[:place]]
    assert first_times == sorted(first_times)


async def test_a_killed_bridge_goes_on_where_the_broker_acknowledged(
    broker: Mosquitto, logs: SqlLogs, listen: Listen
) -> None:
    listener = await listen(broker, "omnidrop/+/events", "omnidrop/status")
    log = logs.open(Opening("s"))
    async with bridged(broker, logs):
        say(log, 10)
        await asyncio.to_thread(listener.until, "omnidrop/s/events", 10)
    say(log, 10)
    await durable(log)
    async with bridged(broker, logs):
        await asyncio.to_thread(listener.until, "omnidrop/s/events", 20)
    assert [event["seq"] for event in listener.events("omnidrop/s/events")] == list(range(1, 21))


async def test_questions_come_in_and_what_is_none_is_answered_on_errors(
    broker: Mosquitto, logs: SqlLogs, listen: Listen
) -> None:
    service = Service()
    listener = await listen(broker, "omnidrop/+/errors")
    await asyncio.to_thread(send, broker, "omnidrop/porch/ask", "A stale question?", "-r")
    async with bridged(broker, logs, service):
        await asyncio.to_thread(listener.until, "omnidrop/porch/errors")
        for topic, payload in [
            ("omnidrop/porch/ask", "What is this?"),
            ("omnidrop/porch/ask", '{"text": "And that?", "id": "q7"}'),
            ("omnidrop/porch/ask", '{"text": "And that?", "id": "q7"}'),
            ("omnidrop/porch/ask", '{"text": 5, "id": "q8"}'),
            ("omnidrop/cellar/ask", '{"text": "Who is there?", "id": "q9"}'),
            ("omnidrop/porch/ask", "\udcff\udcfe"),
            ("omnidrop/" + "x" * 500 + "/ask", "Is that a name?"),
            ("omnidrop/porch/ask", "Last?"),
        ]:
            await asyncio.to_thread(send, broker, topic, payload)
        await asyncio.to_thread(listener.until, "omnidrop/porch/errors", 3)
        await asyncio.to_thread(listener.until, "omnidrop/cellar/errors")
        async with asyncio.timeout(60):
            while len(service.asked) < 3:  # noqa: ASYNC110 - another thread or process decides
                await asyncio.sleep(0.01)
    assert service.asked == [("porch", "What is this?"), ("porch", "And that?"), ("porch", "Last?")]
    told = [(event["code"], event["id"]) for event in listener.events("omnidrop/porch/errors")]
    assert told == [("invalid_input", None), ("invalid_question", "q8"), ("invalid_question", None)]
    assert service.refused == ["invalid_input", "invalid_question", "not_found", "invalid_question"]
    (unknown,) = listener.events("omnidrop/cellar/errors")
    assert (unknown["code"], unknown["id"], unknown["remedy"]) == ("not_found", "q9", "Check the name.")


async def test_home_assistant_finds_named_sessions(broker: Mosquitto, logs: SqlLogs, listen: Listen) -> None:
    async with bridged(broker, logs, home_assistant="homeassistant"):
        log = logs.open(Opening("s", "shed"))
        write(log, line(1, "session.started"))
        await durable(log)
    listener = await listen(broker, "homeassistant/#")
    for name in ("porch", "shed"):
        (answer,) = await asyncio.to_thread(
            listener.until, f"homeassistant/sensor/omnidrop_{name}/answer/config"
        )  # retained: it is there whenever Home Assistant starts
        assert json.loads(answer)["state_topic"] == f"omnidrop/{name}/answers"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", *subject,
         "-days", "1", "-keyout", str(folder / "server.key"), "-out", str(folder / "server.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


# Of a certificate that is not trusted, paho leaves the socket to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
async def test_tls_and_password(
    certificate: Path, tmp_path: Path, logs: SqlLogs, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    users = tmp_path / "users"
    password = ["mosquitto_passwd", "-c", "-b", str(users), "omnidrop", "hunter2hunter2"]
    await asyncio.to_thread(subprocess.run, password, check=True)
    pem, key = certificate / "server.pem", certificate / "server.key"
    lines = ("allow_anonymous false", f"password_file {users}", f"certfile {pem}", f"keyfile {key}")
    broker = Mosquitto(tmp_path, *lines)
    tls = ("--cafile", str(pem), "-u", "omnidrop", "-P", "hunter2hunter2")
    try:
        listener = await listen(broker, "omnidrop/status", options=tls)
        settings = {"tls": True, "ca_file": pem, "username": "omnidrop"}
        for wrong in ({"password": "wrong"}, {"ca_file": None}):
            refused = {"password": "hunter2hunter2"} | settings | wrong
            bridge = Bridge(
                MqttSettings.model_validate({"host": "127.0.0.1", "port": broker.port} | refused),
                logs, ask=Service().ask, names=list, count=str, release="1.2",
            )  # fmt: skip
            running = asyncio.create_task(bridge.run())
            async with asyncio.timeout(60):
                while "is away" not in caplog.text:  # noqa: ASYNC110 - another thread or process decides
                    await asyncio.sleep(0.01)
            bridge.stop()
            await running
            gc.collect()
            assert "hunter2" not in caplog.text
            caplog.clear()
        async with bridged(broker, logs, password="hunter2hunter2", **settings):
            await asyncio.to_thread(listener.until, "omnidrop/status")
        await asyncio.to_thread(listener.until, "omnidrop/status", 2)
        assert listener.of("omnidrop/status") == ["online", "offline"]
    finally:
        broker.kill()


async def test_certificates_that_cannot_be_read_stop_the_start(logs: SqlLogs, tmp_path: Path) -> None:
    settings = MqttSettings(host="127.0.0.1", tls=True, ca_file=tmp_path / "missing.pem")
    with pytest.raises(StartupError, match="cannot be read"):
        Bridge(settings, logs, ask=Service().ask, names=list, count=str, release="1.2")


async def test_a_log_that_is_away_for_a_while_does_not_end_the_bridge(
    broker: Mosquitto, logs: SqlLogs, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, failures = logs.stored, [LogUnavailable("Away.", remedy="Wait."), ZeroDivisionError("a mistake of ours")]

    async def sometimes(after: int, limit: int) -> list[Stored]:
        if failures:
            raise failures.pop()
        return await stored(after, limit)

    monkeypatch.setattr(logs, "stored", sometimes)
    listener = await listen(broker, "omnidrop/+/events")
    async with bridged(broker, logs):
        say(logs.open(Opening("s", "porch")), 3)
        await asyncio.to_thread(listener.until, "omnidrop/porch/events", 3)
    assert listener.of("omnidrop/porch/events") == [line(seq) for seq in (1, 2, 3)]
