from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketTestSession

from stream_service.answers.fanout import Fanouts
from stream_service.answers.log import Interrupted, MemoryLogs
from stream_service.api import http
from stream_service.api.gateway import Gateway, Publishing
from stream_service.api.quotas import Quotas
from stream_service.api.security import Gate
from stream_service.api.settings import ServerSettings
from stream_service.metrics import Metrics
from stream_service.session.controller import Hearing, Session, SessionOptions
from stream_service.session.journal import Journal
from stream_service.session.length import TokenLimit
from stream_service.session.registry import Parts, Sessions
from stream_service.session.resumption import opening_of
from stream_service.session.settings import SessionsSettings
from stream_service.types import TalkMode
from tests.stream_service.fakes import (
    INFO,
    Clock,
    FakeEngine,
    FakeListener,
    FakeRecogniser,
    FakeSources,
    FakeWindower,
    wall,
)

TOKEN = "a-token-of-the-operator"


class Service:
    """The HTTP side with fakes behind it, and a client in front of it."""

    def __init__(self, server: ServerSettings, page: Path | None, history: int, sources: Any = None) -> None:
        self.clock = Clock()
        self.engine = FakeEngine(prompt=True)
        self.sources = sources or FakeSources()
        self.listener = FakeListener()
        self.metrics = Metrics()
        self.fanouts = Fanouts(MemoryLogs(history, closed=4), queue=4)
        self.settings = SessionsSettings()
        self.sessions = Sessions(self.engine, self.sources, Parts(self._make, self._revive, self.fanouts.close), INFO)
        ice = (
            {"urls": ["stun:stun.example.org"]},
            {"urls": ["turn:turn.example.org"], "username": "me", "credential": "secret"},
        )
        self.gateway = Gateway(
            sessions=self.sessions,
            engine=self.engine,
            sources=self.sources,
            fanouts=self.fanouts,
            info=INFO,
            gate=Gate(server, self.clock),
            quotas=Quotas(server, self.clock),
            metrics=self.metrics,
            server=server,
            questions=self.settings,
            publishing=Publishing(TalkMode.HANDS_FREE, "interrupt", True, "letterbox", 2_000, 30.0, lambda: ice),
            page=page,
            wall=wall,
        )
        self.client = TestClient(http.create(self.gateway), base_url="http://127.0.0.1:8080")

    def publish(self, path: str = "/whip") -> str:
        answer = self.client.post(path, content="v=0", headers={"content-type": "application/sdp"})
        assert answer.status_code == 201, answer.text
        return answer.headers["location"].rpartition("/")[2]

    def subscribe(self, path: str, headers: dict[str, str] | None = None) -> WebSocketTestSession:
        """A WebSocket to ``path``; raises WebSocketDenialResponse when refused."""
        return self.client.websocket_connect(f"ws://127.0.0.1:8080{path}", headers=dict(headers or {}))

    def route(self) -> None:
        """Deliver what the engine said."""
        for event in self.engine.pending():
            self.sessions.on_engine(event)

    def _revive(self, past: Interrupted) -> Session:
        raise NotImplementedError

    def _make(self, id: str, options: SessionOptions) -> Session:
        windower = FakeWindower(id)
        return Session(
            id,
            options,
            engine=self.engine,
            windower=windower,
            hearing=Hearing(self.listener, FakeRecogniser()),
            journal=Journal(
                id, self.fanouts.open(opening_of(id, options)), lambda: windower.position, wall, self.metrics.on_event
            ),
            settings=self.settings,
            grace_s=30.0,
            clock=Clock(),
            tokens=TokenLimit(INFO.question_tokens, len),
        )


Serve = Callable[..., Service]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Makes services; keyword arguments are server settings, ``history`` the length of the logs."""
    running: list[Service] = []

    def start(*, page: Path | None = None, history: int = 100, **server: object) -> Service:
        service = Service(ServerSettings.model_validate(server), page, history)
        service.client.__enter__()
        running.append(service)
        return service

    yield start
    for service in running:
        portal = service.client.portal
        assert portal is not None
        portal.call(service.sessions.stop, 0.0)
        service.client.__exit__(None, None, None)


@pytest.fixture
def service(serve: Serve) -> Service:
    return serve()
