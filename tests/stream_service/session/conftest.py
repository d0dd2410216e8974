from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stream_service.answers.fanout import Fanout, Fanouts
from stream_service.answers.log import Interrupted, MemoryLog, MemoryLogs, Opening
from stream_service.session.controller import Hearing, Session, SessionOptions
from stream_service.session.journal import Journal
from stream_service.session.registry import Parts, Sessions
from stream_service.session.resumption import opening_of, options_of
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
        self.aloud = False
        self.settings = SessionsSettings(waiting_questions=1, question_chars=200, idle_s=60.0)
        self.logs = MemoryLogs(history=1000, closed=8)
        self.fanouts = Fanouts(self.logs, queue=100)
        self.written: dict[str, Fanout] = {}
        self.left_open: list[str] = []
        self.amended: list[Opening] = []
        parts = Parts(self._make, self._revive, self.fanouts.close, remember=self._remember)
        self.sessions = Sessions(self.engine, self.sources, parts, INFO)
        lasting = Parts(self._make, self._revive, self.fanouts.close, self.left_open.append)
        self.lasting_sessions = Sessions(self.engine, self.sources, lasting, INFO)
        """The same, over a log that outlasts the server."""

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
        log = self.written[session.id].log
        assert isinstance(log, MemoryLog)
        events = [json.loads(record.json) for record in log.held(0, 1000)]
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        return [event for event in events if not types or event["type"] in types]

    def types(self, session: Session) -> list[str]:
        return [event["type"] for event in self.events(session)]

    def _make(self, id: str, options: SessionOptions) -> Session:
        return self._session(id, options)

    def _remember(self, session: Session) -> None:
        self.amended.append(opening_of(session.id, session.options))

    def _revive(self, past: Interrupted) -> Session:
        return self._session(past.opening.session, options_of(past.opening), past)

    def _session(self, id: str, options: SessionOptions, past: Interrupted | None = None) -> Session:
        windower = FakeWindower(id)
        fanout = self.fanouts.open(opening_of(id, options))
        self.written[id] = fanout
        return Session(
            id,
            options,
            engine=self.engine,
            windower=windower,
            hearing=Hearing(self.listener, self.recogniser, self.aloud) if self.hears else None,
            journal=Journal(id, fanout, lambda: windower.position, wall, lambda _: None),
            settings=self.settings,
            grace_s=30.0,
            clock=self.clock,
            past=past,
        )


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    await house.sessions.stop(0.0)
