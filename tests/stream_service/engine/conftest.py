"""A gateway's engine whose processes are stood for by links."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from stream_service.engine import client
from tests.stream_service.engine.rig import Rig


@pytest_asyncio.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    monkeypatch.setattr(client, "WATCH_S", 0.01)
    rig = Rig()
    await rig.engine.start()
    yield rig
    await rig.engine.stop(drain_s=0)
