"""The gateway's engine over links that stand for processes, driven step by step."""

from __future__ import annotations

import asyncio
from typing import Any

from stream_service.engine.client import EngineState, LocalEngine
from stream_service.engine.messages import Asked, Feed, Opened
from stream_service.engine.packing import PackedWindow
from stream_service.engine.settings import EngineSettings
from stream_service.types import EngineEvent, ModalityCounts, SessionSettings, WindowFused
from tests.stream_service.engine.fakes import FakeLink, Spawner

SETTINGS = EngineSettings(refeed_windows=3, restart_backoff_s=0.001, standby=False, question_queue=2)


class Rig:
    def __init__(self, settings: EngineSettings = SETTINGS) -> None:
        self.spawner = Spawner()
        self.engine = LocalEngine(settings, self.spawner)
        self._events = self.engine.events()

    @property
    def link(self) -> FakeLink:
        return self.spawner.links[-1]

    @property
    def running(self) -> FakeLink:
        """The process that serves now."""
        link: Any = self.engine._link
        assert isinstance(link, FakeLink)
        return link

    async def open(self, *sessions: str) -> None:
        for session in sessions:
            opening = asyncio.create_task(self.engine.open(session, SessionSettings()))
            await asyncio.sleep(0)
            self.link.receive(Opened(session))
            await opening

    async def next(self, count: int = 1) -> list[EngineEvent]:
        """The next ``count`` events."""
        return [await anext(self._events) for _ in range(count)]

    async def crash(self) -> None:
        """The process dies; the next one cannot be started before :meth:`recover`."""
        self.spawner.open.clear()
        self.link.kill()
        await self.until(EngineState.RESTARTING)

    async def recover(self) -> FakeLink:
        """The next process takes over."""
        self.spawner.open.set()
        await self.until(EngineState.RUNNING)
        return self.link

    async def restart(self) -> FakeLink:
        """The process dies and another one takes over."""
        await self.crash()
        return await self.recover()

    async def processes(self, count: int) -> None:
        """Returns once so many processes were started in all."""
        while len(self.spawner.links) < count:  # noqa: ASYNC110 - only tests ever wait for that
            await asyncio.sleep(0)

    async def until(self, state: EngineState) -> None:
        while self.engine.state is not state:  # noqa: ASYNC110 - only tests ever wait for a state
            await asyncio.sleep(0)

    def sent(self) -> list[int | str]:
        """What the newest process was given, in order: windows by index, questions by id."""
        order: list[int | str] = []
        for message in self.link.sent:
            match message:
                case Feed(window):
                    order.append(window.index)
                case Asked(question, closing):
                    order += [one.index for one in closing]
                    order.append(question.id)
                case _:
                    pass
        return order

    def packed(self) -> list[bool]:
        """Of each window that the newest process was given, whether it came packed."""
        return [isinstance(message.window, PackedWindow) for message in self.link.sent if isinstance(message, Feed)]


def fused(index: int, session: str = "a") -> WindowFused:
    counts = ModalityCounts(0, 0)
    return WindowFused(session, index, 0.0, 2.0, counts, counts, 0.0, 0.0, 0, 1.0)
