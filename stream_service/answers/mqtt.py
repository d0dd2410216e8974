"""The bridge to an MQTT broker: events and answers out of the durable log, questions in.

Delivery is at least once, in order: every message is acknowledged by the broker (QoS 1) before the bridge's place in
the log moves on, and that place is kept in the log's own database. While the broker is away nothing is lost but what
the log's retention lets go. What may come twice, because a broker died before it acknowledged or this program before it
took note, carries the same ``session`` and ``seq``, by which a consumer drops it.

Questions are not kept for the bridge while it is away (clean session): they are about what is seen now.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Protocol

import aiomqtt

from stream_service.answers.mqtt_settings import MqttSettings
from stream_service.answers.mqtt_topics import Message, Questions, Topics, asker_id, discovery
from stream_service.answers.store import Stored
from stream_service.errors import LogUnavailable, OmniDropError, StartupError

_log = logging.getLogger(__name__)
_BATCH = 64
"""Events on their way to the broker at a time: at most so many come twice."""
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.5, 30.0
_TIMEOUT_S = 10.0
_KEEPALIVE_S = 20
_LONGEST_KEY = 128
_QUESTIONS = 64
"""Questions that may wait to be read; further ones are dropped by the client."""


class Feed(Protocol):
    """The durable log, as a publisher reads it."""

    async def cursor(self, publisher: str) -> int: ...

    def advance(self, publisher: str, event: int) -> None: ...

    async def stored(self, after: int, limit: int) -> Sequence[Stored]: ...

    def follow(self, heard: Callable[[], None]) -> None:
        """Call ``heard`` on the event loop whenever something was written."""


class Bridge:
    """Connects to the broker, again and again, until :meth:`stop`.

    Args:
        settings: with a host.
        feed: where events come from.
        ask: takes a question for the session of this name or id; raises what the service refuses.
        names: the names of the living sessions.
        count: told the code of the error by which a question is refused.
        release: this program's version, for Home Assistant.
    """

    def __init__(
        self,
        settings: MqttSettings,
        feed: Feed,
        *,
        ask: Callable[[str, str], object],
        names: Callable[[], Iterable[str]],
        count: Callable[[str], None],
        release: str,
    ) -> None:
        assert settings.host is not None
        self._settings = settings
        self._host = settings.host
        self._feed = feed
        self._ask = ask
        self._names = names
        self._count = count
        self._release = release
        self._topics = Topics(settings.prefix)
        self._publisher = f"mqtt {settings.prefix} at {settings.host}:{settings.port}"
        self._questions = Questions()
        self._tls = _tls(settings)
        self._place: int | None = None
        self._news = asyncio.Event()
        self._stopping = asyncio.Event()
        self.connected = False
        feed.follow(self._news.set)

    def stop(self) -> None:
        """Deliver what is in the log, say goodbye, and let :meth:`run` return."""
        self._stopping.set()
        self._news.set()

    async def run(self) -> None:
        """Serve the broker until :meth:`stop`; with a pause that doubles up to half a minute while it is away."""
        delay = _FIRST_DELAY_S
        while not self._stopping.is_set():
            try:
                if self._place is None:
                    self._place = await self._feed.cursor(self._publisher)
                async with self._client() as client:
                    _log.info("connected to the MQTT broker %s:%d", self._host, self._settings.port)
                    self.connected, delay = True, _FIRST_DELAY_S
                    await self._serve(client, self._place)
                    return
            except* aiomqtt.MqttError as errors:
                _log.warning("the MQTT broker is away, next attempt in %g s: %s", delay, errors.exceptions[0])
            except* LogUnavailable:
                _log.warning("MQTT waits for the event log, next attempt in %g s", delay)
            except* Exception:  # a mistake on the way to the broker must not take the sessions along
                _log.exception("the MQTT bridge failed, next attempt in %g s", delay)
            finally:
                self.connected = False
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
            delay = min(2 * delay, _LONGEST_DELAY_S)

    def _client(self) -> aiomqtt.Client:
        password = self._settings.password
        client = aiomqtt.Client(
            self._host,
            self._settings.port,
            username=self._settings.username,
            password=None if password is None else password.get_secret_value(),
            identifier=self._settings.client_id,
            will=aiomqtt.Will(self._topics.status, "offline", qos=1, retain=True),
            clean_session=True,
            keepalive=_KEEPALIVE_S,
            timeout=_TIMEOUT_S,
            max_queued_incoming_messages=_QUESTIONS,
            tls_context=self._tls,
            logger=_log.getChild("client"),
        )
        client.pending_calls_threshold = 4 * _BATCH
        return client

    async def _serve(self, client: aiomqtt.Client, place: int) -> None:
        """One connection, until it breaks or the bridge is stopped."""
        await client.subscribe(self._topics.questions, qos=1)
        greeting = [Message(self._topics.status, "online", retain=True)]
        for name in self._names():
            greeting += self._announcement(name)
        await self._publish(client, greeting)
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self._listen(client))
            await self._deliver(client, place)
            listening.cancel()
        await self._publish(client, [Message(self._topics.status, "offline", retain=True)])

    async def _deliver(self, client: aiomqtt.Client, place: int) -> None:
        while True:
            self._news.clear()
            while batch := await self._feed.stored(place, _BATCH):
                await self._hand_over(client, batch)
                place = batch[-1].id
            if self._stopping.is_set():
                return
            await self._news.wait()

    async def _hand_over(self, client: aiomqtt.Client, batch: Sequence[Stored]) -> None:
        """Publish ``batch`` and note how far the broker has acknowledged it, also when it does not get to the end."""
        sent: list[asyncio.Task[None]] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                sent += [tasks.create_task(self._publish(client, self._about(stored))) for stored in batch]
        finally:
            for task, stored in zip(sent, batch, strict=False):
                if not task.done() or task.cancelled() or task.exception() is not None:
                    break
                self._place = stored.id
            if self._place is not None:
                self._feed.advance(self._publisher, self._place)

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            session = self._topics.asked(message.topic.value)
            payload = message.payload if isinstance(message.payload, bytes) else b""
            refusal = self._take(session, payload, retained=message.retain)
            if refusal is not None:
                await self._publish(client, [refusal])

    def _take(self, session: str, payload: bytes, *, retained: bool) -> Message | None:
        """Ask; what to answer when the question is refused."""
        if (retained and not payload) or len(session) > _LONGEST_KEY:
            return None
        asking = None
        try:
            asking = self._questions.read(session, payload, retained=retained)
            if asking is not None:
                self._ask(session, asking.text)
        except OmniDropError as error:
            self._count(error.code)
            if asking is not None:
                self._questions.forget(session, asking)
            return self._topics.refusal(session, error, asker_id(payload) if asking is None else asking.id)
        return None

    def _about(self, stored: Stored) -> list[Message]:
        messages = self._topics.messages(stored)
        if stored.record.type == "session.started" and stored.name is not None:
            messages += self._announcement(stored.name)
        return messages

    def _announcement(self, name: str) -> list[Message]:
        under = self._settings.home_assistant
        return [] if under is None else discovery(under, self._topics, name, self._release)

    async def _publish(self, client: aiomqtt.Client, messages: Sequence[Message]) -> None:
        """All of ``messages``, in order, acknowledged."""
        async with asyncio.TaskGroup() as tasks:
            for message in messages:
                tasks.create_task(client.publish(message.topic, message.payload, qos=1, retain=message.retain))


async def reach(settings: MqttSettings, timeout_s: float) -> None:
    """Connect to the broker and leave it again; raises StartupError when it is not there or does not let us in."""
    password = None if settings.password is None else settings.password.get_secret_value()
    client = aiomqtt.Client(
        settings.host or "",
        settings.port,
        username=settings.username,
        password=password,
        timeout=timeout_s,
        tls_context=_tls(settings),
        logger=_log.getChild("client"),
    )
    try:
        async with asyncio.timeout(timeout_s), client:
            pass
    except (aiomqtt.MqttError, TimeoutError) as error:
        raise StartupError(
            f"The MQTT broker {settings.host}:{settings.port} does not let us in: {error or 'no answer'}.",
            field="mqtt.host",
            remedy="Check mqtt.host, mqtt.port, mqtt.tls, mqtt.username and mqtt.password, and that it runs.",
        ) from None


def _tls(settings: MqttSettings) -> ssl.SSLContext | None:
    """Raises StartupError for certificates that cannot be read."""
    if not settings.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.cert_file is not None:
            context.load_cert_chain(settings.cert_file, settings.key_file)
    except OSError as error:  # ssl.SSLError is one
        raise StartupError(
            f"The MQTT certificates cannot be read: {error}.",
            field="mqtt.ca_file",
            remedy="Name PEM files in mqtt.ca_file, mqtt.cert_file and mqtt.key_file that this user may read.",
        ) from None
    return context
