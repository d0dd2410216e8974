"""The listening socket, and signals: what the first and the second one do, before and after the service runs."""

import asyncio
import os
import signal

import pytest

from stream_service.api import server
from stream_service.api.server import Signals
from stream_service.api.settings import ServerSettings


async def test_a_signal_while_loading_cancels_the_load() -> None:
    async def load() -> None:
        with Signals() as signals:
            try:
                await asyncio.Event().wait()
            finally:
                assert signals.stop.is_set()

    loading = asyncio.create_task(load())
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(asyncio.CancelledError):
        await loading


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_signal_stops_and_the_second_hurries(number: signal.Signals) -> None:
    hurried = asyncio.Event()
    with Signals() as signals:
        signals.when_hurried(hurried.set)
        os.kill(os.getpid(), number)
        await signals.stop.wait()
        assert not hurried.is_set()
        os.kill(os.getpid(), number)
        await asyncio.wait_for(hurried.wait(), 60)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(("host", "url"), [("::1", "http://[::1]:"), ("127.0.0.1", "http://127.0.0.1:")])
def test_the_address_told_is_of_the_family_listened_on(host: str, url: str) -> None:
    settings = ServerSettings(host=host, port=0)
    with server.listen(settings) as listener:
        assert server.url_of(settings, listener).startswith(url)
