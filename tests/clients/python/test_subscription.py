"""Resuming against a real WebSocket server on the loopback that breaks off as told."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.asyncio.server import ServerConnection, serve

from clients.python.errors import ConnectionLost, ServerProblem
from clients.python.http import Api
from clients.python.subscription import Backoff, Subscription

pytestmark = pytest.mark.default

Script = Callable[[ServerConnection, int], Awaitable[None]]


def event(seq: int, **fields: Any) -> str:
    return json.dumps({"seq": seq, "type": "t", "session": "s", "at": 0.0, "wall": "", **fields})


@asynccontextmanager
async def serving(*scripts: Script) -> AsyncIterator[tuple[Api, list[int]]]:
    """Serve the connections one script after the other; the list collects the ``after`` of each."""
    asked: list[int] = []

    async def handle(socket: ServerConnection) -> None:
        assert socket.request is not None
        after = int(parse_qs(urlsplit(socket.request.path).query)["after"][0])
        asked.append(after)
        await scripts[len(asked) - 1](socket, after)

    async with serve(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Api(f"http://127.0.0.1:{port}") as api:
            yield api, asked


def sending(*seqs: int, code: int = 1000) -> Script:
    async def script(socket: ServerConnection, after: int) -> None:
        for seq in seqs:
            await socket.send(event(seq))
        await socket.close(code)

    return script


def breaking(*seqs: int) -> Script:
    async def script(socket: ServerConnection, after: int) -> None:
        for seq in seqs:
            await socket.send(event(seq))
        socket.transport.abort()

    return script


def refusing(code: int, remedy: str, resume_after: int | None = None) -> Script:
    async def script(socket: ServerConnection, after: int) -> None:
        refusal = {"code": "not_now", "message": "No.", "remedy": remedy, "resume_after": resume_after}
        await socket.send(event(0, type="error", **refusal))
        await socket.close(code)

    return script


async def received(api: Api, after: int = 0) -> list[int]:
    return [event["seq"] async for event in Subscription(api, "s", after=after)]


async def test_a_broken_connection_is_resumed_with_nothing_lost_or_twice() -> None:
    async with serving(breaking(1, 2), sending(2, 3, code=1013), sending(4)) as (api, asked):
        assert await received(api) == [1, 2, 3, 4]
        assert asked == [0, 2, 3]


async def test_trimmed_events_are_skipped_to_where_the_server_says() -> None:
    async with serving(refusing(4410, "Earlier events are gone.", 7), sending(8)) as (api, asked):
        assert await received(api, after=3) == [8]
        assert asked == [3, 7]


async def test_another_session_of_that_name_is_followed_from_its_start() -> None:
    async with serving(refusing(4409, "This is another session.", 0), sending(1)) as (api, asked):
        assert await received(api, after=9) == [1]
        assert asked == [9, 0]


@pytest.mark.parametrize(
    "refused", [refusing(4404, "Check the id."), refusing(4410, "Read after=7 on."), refusing(4410, "", 3)]
)
async def test_a_refusal_that_names_no_other_place_is_a_problem(refused: Script) -> None:
    async with serving(refused) as (api, asked):
        with pytest.raises(ServerProblem) as refusal:
            await received(api, after=3)
        assert (refusal.value.code, asked) == ("not_now", [3])


async def test_a_server_that_stays_away_is_given_up() -> None:
    async with Api("http://127.0.0.1:9") as api:
        with pytest.raises(ConnectionLost, match="stayed away"):
            _ = [e async for e in Subscription(api, "s", after=5, backoff=Backoff(give_up_s=0.1))]


def test_delays_double_up_to_a_limit() -> None:
    assert Backoff(20).delays() == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5])
