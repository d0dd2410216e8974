from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stream_service.answers.fanout import Fanouts
from stream_service.answers.log import MemoryLogs
from stream_service.session.controller import Hearing, Session, SessionOptions
from stream_service.session.journal import Journal
from stream_service.session.registry import Parts, Sessions
from stream_service.session.settings import BargeIn, SessionsSettings
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


class House:
    """A registry with fakes around it, and a reader of what its sessions wrote."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.engine = FakeEngine()
        self.sources = FakeSources()
        self.listener = FakeListener()
        self.recogniser = FakeRecogniser()
        self.hears = True
        self.settings = SessionsSettings(waiting_questions=1, question_chars=200, idle_s=60.0)
        self.logs = MemoryLogs(history=1000, closed=8)
        self.fanouts = Fanouts(self.logs, queue=100)
        self.sessions = Sessions(self.engine, self.sources, Parts(self._make, self.fanouts.close), INFO)

    async def publish(
        self, name: str | None = None, *, barge_in: BargeIn = "interrupt", owner: str | None = None
    ) -> Session:
        options = SessionOptions(TalkMode.HANDS_FREE, barge_in, name, owner)
        session, _ = await self.sessions.publish("offer", name, options)
        return session

    def route(self) -> None:
        """Deliver what the engine said."""
        for event in self.engine.pending():
            self.sessions.on_engine(event)

    def events(self, session: Session, *types: str) -> list[dict[str, Any]]:
        """What was written about ``session``, of the given types or all."""
        log = self.logs.find(session.id)
        assert log is not None
        events = [json.loads(record.json) for record in log.read(0, 1000)]
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        return [event for event in events if not types or event["type"] in types]

    def types(self, session: Session) -> list[str]:
        return [event["type"] for event in self.events(session)]

    def _make(self, id: str, options: SessionOptions) -> Session:
        windower = FakeWindower(id)
        return Session(
            id,
            options,
            engine=self.engine,
            windower=windower,
            hearing=Hearing(self.listener, self.recogniser) if self.hears else None,
            journal=Journal(id, self.fanouts.open(id), lambda: windower.position, wall),
            settings=self.settings,
            grace_s=30.0,
            clock=self.clock,
        )


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    await house.sessions.stop(0.0)
