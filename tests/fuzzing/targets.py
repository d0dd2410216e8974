"""What is attacked, in this process: the SDP parsers and peers, and the whole HTTP side before real peers."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self
from urllib.parse import quote

import httpx

from stream_service.answers.mqtt import Bridge
from stream_service.answers.mqtt_settings import MqttSettings
from stream_service.answers.store import Stored
from stream_service.api import http
from stream_service.api.settings import ServerSettings
from stream_service.errors import OmniDropError
from stream_service.media import MediaSettings, Peers
from stream_service.types import QuestionSource
from tests.fuzzing import mutate, seeds
from tests.stream_service.api.conftest import Service
from tests.stream_service.fakes import sound

LIMIT_S = 10.0
"""No single input may take longer."""
_SDP, _FRAGMENT = "application/sdp", "application/trickle-ice-sdpfrag"


class Sink:
    """A session that does not listen."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


class _NoFeed:
    """A log in which nothing happens."""

    async def cursor(self, publisher: str) -> int:
        return 0

    def advance(self, publisher: str, event: int) -> None: ...

    async def stored(self, after: int, limit: int) -> Sequence[Stored]:
        return []

    def follow(self, heard: Callable[[], None]) -> None: ...


class Targets:
    """Use it as an async context manager. Each case is an attack; it raises AssertionError when it did harm."""

    def __init__(self) -> None:
        self.cases: dict[str, Callable[[random.Random], Awaitable[str]]] = {
            "sdp": self.sdp, "fragment": self.fragment, "whip": self.whip, "json": self.json,
            "mqtt": self.mqtt,
        }  # fmt: skip

    async def __aenter__(self) -> Self:
        self._trouble: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self._trouble.append(context))
        self._peers = Peers(MediaSettings(bind=("127.0.0.1",), connect_s=0.3), (32, 32))
        self._sink: Any = Sink()
        self._victim = (await self._peers.publish("victim", seeds.CHROMIUM, self._sink)).etag
        settings = ServerSettings(client_sessions=4096, client_questions_per_minute=6_000)
        self._service = Service(settings, None, 100, self._peers)
        app = http.create(self._service.gateway)
        documented = app.openapi()["paths"].items()
        self._operations = [(method, path) for path, methods in documented for method in methods if "whip" not in path]
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        self._bridge = Bridge(
            MqttSettings(host="127.0.0.1"), _NoFeed(), ask=self._ask, names=list, count=str, release="0"
        )
        self._client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080")
        await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()
        await self._service.sessions.stop(0.0)
        await self._peers.stop()
        asyncio.get_running_loop().set_exception_handler(None)

    async def run(self, kind: str, seed: str) -> str:
        """One case, made from ``seed`` alone; returns how it was taken (a code or status)."""
        async with asyncio.timeout(LIMIT_S):
            outcome = await self.cases[kind](random.Random(seed))
        self._service.clock.now += 0.1
        self._service.route()
        assert not self._trouble, f"after this case, or a little before it: {self._trouble}"
        return outcome

    async def sdp(self, rng: random.Random) -> str:
        """Publish an offer to a session of its own."""
        try:
            return await _taken(self._peers.publish("other", _sent(rng, seeds.OFFERS), self._sink))
        finally:
            await self._peers.end("other")

    async def fragment(self, rng: random.Random) -> str:
        """Trickle to, or restart, a peer that lives on from case to case."""
        sent, etag = _sent(rng, seeds.FRAGMENTS), _etag(rng, self._victim)
        try:
            return await _taken(self._peers.trickle("victim", sent, etag))
        finally:
            if rng.random() < 0.02:  # restarts change the tag, and a peer that was never reached ends
                self._victim = (await self._peers.publish("victim", seeds.CHROMIUM, self._sink)).etag

    async def whip(self, rng: random.Random) -> str:
        """A WHIP request of any kind, with headers and query that may be wrong."""
        method = rng.choice(("POST",) * 5 + ("PATCH",) * 5 + ("DELETE", "OPTIONS", "GET", "BREW"))
        path = "/whip/{session}" if method in ("PATCH", "DELETE") else rng.choice(("/whip", "/whip/{name}"))
        if rng.random() < 0.2:
            path += f"?{rng.choice(('talk', 'barge_in', 'budget', 'deep_share', 'x'))}={_quoted(rng)}"
        right, texts = (_FRAGMENT, seeds.FRAGMENTS) if method == "PATCH" else (_SDP, seeds.OFFERS)
        headers = {"content-type": right if rng.random() < 0.9 else rng.choice((_SDP, _FRAGMENT, "", "a/b; c=" * 50))}
        if (etag := _etag(rng, self._tag)) is not None:
            headers["if-match"] = etag
        sent = mutate.text(rng, texts).encode(errors=rng.choice(("surrogatepass", "replace")))
        return await self._send(rng, method, path, headers, sent)

    async def json(self, rng: random.Random) -> str:
        """A request to any other route of the OpenAPI document, or to none."""
        method, path = rng.choice(self._operations)
        if rng.random() < 0.1:
            method, path = rng.choice(("POST", "PUT", "DELETE", "PATCH", "GET")), rng.choice((path, f"/{_quoted(rng)}"))
        if rng.random() < 0.2:
            path += f"?{rng.choice(('after', 'limit', 'x'))}={_quoted(rng)}"
        kind = (
            "application/json" if rng.random() < 0.9 else rng.choice(("text/plain", "", "application/json; charset=x"))
        )
        return await self._send(rng, method, path, {"content-type": kind}, mutate.body(rng, seeds.BODIES))

    async def mqtt(self, rng: random.Random) -> str:
        """A message to a topic of questions, as the broker hands it over."""
        await self._reopen()
        topic = rng.choice(("door",) * 8 + (self._session, rng.choice(mutate.NASTY)))
        payload = rng.choice((mutate.body(rng, seeds.BODIES), rng.choice(mutate.NASTY).encode(errors="surrogatepass")))
        return self.told(topic, payload, retained=rng.random() < 0.1)

    def told(self, session: str, payload: bytes, *, retained: bool = False) -> str:
        """Hand a message to the MQTT bridge; returns the code of its refusal, or "taken"."""
        refusal = self._bridge._take(session, payload, retained=retained)
        if refusal is None:
            return "taken"
        assert refusal.topic.endswith("/errors")
        return str(json.loads(refusal.payload)["code"])

    async def post(self, path: str, body: bytes) -> httpx.Response:
        """Send JSON, or what pretends to be it."""
        return await self._client.post(path, content=body, headers={"content-type": "application/json"})

    def _ask(self, key: str, text: str) -> object:
        return self._service.sessions.ask(key, text, QuestionSource.MQTT)

    async def _send(self, rng: random.Random, method: str, path: str, headers: dict[str, str], body: bytes) -> str:
        await self._reopen()
        url = path.replace("{session}", self._session if rng.random() < 0.8 else _quoted(rng))
        url = re.sub(r"{\w+}", lambda _: _quoted(rng), url)
        plain = {name: re.sub("[\r\n]", "", text).encode(errors="replace") for name, text in headers.items()}
        answer = await self._client.request(method.upper(), url, headers=[*plain.items()], content=body)
        assert answer.status_code < 500, f"{answer.status_code} {answer.text[:500]}"
        if answer.is_error:
            problem = answer.json()
            assert problem["code"], problem
            assert problem["remedy"], problem
        if answer.status_code == 201 and (location := answer.headers.get("location", "")):
            if not location.endswith(self._session):
                await self._client.delete(location)
            else:
                self._tag = answer.headers["etag"]
        return str(answer.status_code)

    async def _reopen(self) -> None:
        if self._service.sessions.find(self._session) is None:  # an earlier case ended it, as it may
            await self._open()

    async def _open(self) -> None:
        answer = await self._client.post("/whip/door", content=seeds.CHROMIUM, headers={"content-type": _SDP})
        assert answer.status_code == 201, answer.text
        self._session, self._tag = answer.headers["location"].rpartition("/")[2], answer.headers["etag"]
        self._service.sessions.get("door").on_audio(sound(0.0, 2.0))  # now there is something to ask about
        self._service.route()


def _etag(rng: random.Random, right: str) -> str | None:
    """The right one, the one that restarts, none, or a wrong one."""
    return rng.choice((right,) * 6 + ("*", f'"0", {right}', None, rng.choice(mutate.NASTY)))


def _quoted(rng: random.Random) -> str:
    return quote(rng.choice(mutate.NASTY), errors="replace")


def _sent(rng: random.Random, of: Sequence[str]) -> str:
    """A text as it comes out of UTF-8."""
    return mutate.text(rng, of).encode(errors="replace").decode()


async def _taken(attempt: Awaitable[object]) -> str:
    """How an attempt ended: accepted, or the code of the refusal."""
    refusal = None
    try:
        await attempt
    except OmniDropError as error:
        refusal = error
    assert refusal is None or refusal.status < 500, refusal
    return "accepted" if refusal is None else refusal.code
