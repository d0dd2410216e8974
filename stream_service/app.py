"""Puts the service together and runs it: the one file that names the stages' concrete classes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from stream_service import arenas
from stream_service.answers.events import Envelope
from stream_service.answers.fanout import Fanouts
from stream_service.answers.log import Interrupted, LogStore, MemoryLogs
from stream_service.answers.mqtt import Bridge
from stream_service.answers.store import SqlLogs, open_logs
from stream_service.api import certificate, http, server
from stream_service.api.gateway import Gateway, Publishing
from stream_service.api.quotas import Quotas
from stream_service.api.security import Gate, check_exposure
from stream_service.api.tokens import Client, Scope
from stream_service.ask import Asked
from stream_service.ask import ask as one_shot
from stream_service.config import Config
from stream_service.engine.client import LocalEngine
from stream_service.errors import StartupError
from stream_service.media import turn
from stream_service.media.clip import Clip
from stream_service.media.peers import Peers
from stream_service.metrics import Metrics
from stream_service.session.controller import Hearing, Session, SessionOptions
from stream_service.session.journal import Journal
from stream_service.session.length import TokenLimit, token_limit
from stream_service.session.ports import Engine
from stream_service.session.questions import worded
from stream_service.session.registry import Parts, Sessions
from stream_service.session.resumption import opening_of, options_of
from stream_service.speech.activity import SileroModel
from stream_service.speech.front import SpeechFront
from stream_service.speech.settings import check_understood
from stream_service.speech.transcriber import Transcriber
from stream_service.tracing import spans
from stream_service.types import QuestionSource, SessionSettings, TalkMode
from stream_service.windows import Windower

_MQTT = Client("mqtt", frozenset({Scope.ASK}))
"""Everyone who may publish questions at the broker, where the broker's access list says who that is."""
_GOODBYE_S = 3.0
"""How long the end of the service may wait for the broker to take the last events."""


async def serve(config: Config, announce: Callable[[str], None]) -> None:
    """Run the service until SIGTERM or SIGINT; ``announce`` gets its URL once it answers.

    A first signal lets running answers finish (``sessions.drain_s``), a second one does not wait for them. Raises
    StartupError when it cannot start.
    """
    arenas.share()
    check_exposure(config.server)
    certificate.check(config.server)
    with contextlib.closing(server.listen(config.server)) as listener, server.Signals() as signals:
        try:
            async with _running(config, LocalEngine(config.engine)) as gateway:
                signals.when_hurried(gateway.sessions.hurry)
                web = server.Server(
                    server.configure(config.server, http.create(gateway)),
                    lambda: announce(server.url_of(config.server, listener)),
                )
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(web.serve(sockets=[listener]))
                    await signals.stop.wait()
                    await gateway.sessions.stop(config.sessions.drain_s)
                    web.should_exit = True
        except asyncio.CancelledError:
            if not signals.stop.is_set():
                raise


async def ask(config: Config, path: Path, question: str, retention: float | None) -> Asked:
    """One question about the clip at ``path``; raises InvalidInput, InvalidQuestion or StartupError."""
    text = worded(question, config.sessions.question_chars)
    # Nobody waits for these windows in real time: being behind is no reason to look less closely.
    alone = {"behind_s": 60.0, "answer_timeout_s": 600.0, "standby": False}
    engine = LocalEngine(config.engine.model_copy(update=alone))
    with contextlib.ExitStack() as files:
        info = await engine.start()
        try:
            clip = files.enter_context(Clip(path, info.frame_size, config.media.fit))
            windower = Windower("clip", config.windows)
            windower.tracks(video=clip.has_video, audio=clip.has_audio)
            settings = SessionSettings(retention=retention)
            return await one_shot(clip, text, engine=engine, windower=windower, settings=settings)
        finally:
            await engine.stop(drain_s=0.0)


@contextlib.asynccontextmanager
async def _running(config: Config, engine: Engine) -> AsyncIterator[Gateway]:
    """Everything behind the HTTP side, started; stopped on the way out."""
    async with contextlib.AsyncExitStack() as stack:
        logs = await stack.enter_async_context(_logs(config))
        hearing = await stack.enter_async_context(_speech(config))
        info = await engine.start()
        stack.push_async_callback(engine.stop, drain_s=0.0)
        check_understood(config.speech, info.model, spoken_questions=info.spoken_questions)
        sources = Peers(config.media, info.frame_size)
        stack.push_async_callback(sources.stop)
        fanouts = Fanouts(logs, config.answers.subscriber_queue)
        metrics = Metrics()
        if isinstance(logs, SqlLogs):
            metrics.watch_log(logs.is_failing)
        traced = await stack.enter_async_context(spans(http.release()))
        tokens = await asyncio.to_thread(token_limit, info.tokenizer, info.question_tokens)
        maker = _Maker(config, engine, sources, fanouts, hearing, tokens, (metrics.on_event, *traced))
        sessions = Sessions(engine, sources, maker.parts(outlasting=isinstance(logs, SqlLogs)), info)
        gateway = Gateway(
            sessions=sessions,
            engine=engine,
            sources=sources,
            fanouts=fanouts,
            info=info,
            gate=Gate(config.server, time.monotonic),
            quotas=Quotas(config.server, time.monotonic),
            metrics=metrics,
            server=config.server,
            questions=config.sessions,
            publishing=_publishing(config),
            page=_page(),
            wall=_wall,
        )
        async with asyncio.TaskGroup() as tasks:
            background = [tasks.create_task(_route(gateway)), tasks.create_task(sessions.watch())]
            await sessions.resume(await logs.interrupted())
            async with _bridge(config, logs, gateway):
                yield gateway
            for task in background:
                task.cancel()


async def _route(gateway: Gateway) -> None:
    """Hand the engine's events to their sessions and to the metrics."""
    async for event in gateway.engine.events():
        gateway.metrics.on_engine(event)
        gateway.sessions.on_engine(event)


@contextlib.asynccontextmanager
async def _speech(config: Config) -> AsyncIterator[Callable[[], Hearing] | None]:
    """Makes a session's hearing; None where the deployment does not listen."""
    if config.speech.mode is TalkMode.OFF:
        yield None
        return
    voices = SileroModel()
    transcriber = Transcriber(config.speech)
    await transcriber.start()
    try:
        aloud = config.speech.question == "speech"
        yield lambda: Hearing(SpeechFront(config.speech, voices.listen()), transcriber, aloud)
    finally:
        await transcriber.stop()


@contextlib.asynccontextmanager
async def _logs(config: Config) -> AsyncIterator[LogStore]:
    """The events' log, open."""
    answers = config.answers
    if answers.log == "memory":
        yield MemoryLogs(answers.history, answers.closed_sessions)
        return
    keep_s, keep_size = answers.keep_days * 86_400, answers.keep_mb * 1_000_000
    logs = await open_logs(answers.log, history=answers.history, keep_s=keep_s, keep_size=keep_size)
    try:
        yield logs
    finally:
        await logs.close()


@contextlib.asynccontextmanager
async def _bridge(config: Config, logs: LogStore, gateway: Gateway) -> AsyncIterator[None]:
    """The bridge to the MQTT broker, if there is one; on the way out it delivers what the sessions said last."""
    if config.mqtt.host is None:
        yield
        return
    if not isinstance(logs, SqlLogs):
        raise StartupError(
            "MQTT needs a log that outlasts a broker's absence.",
            field="answers.log",
            remedy="Set answers.log to a database, e.g. sqlite:///data/events.db.",
        )

    def ask(key: str, text: str) -> None:
        gateway.quotas.ask(_MQTT)
        gateway.sessions.ask(key, text, QuestionSource.MQTT)

    def names() -> list[str]:
        return [session.options.name for session in gateway.sessions.all() if session.options.name is not None]

    bridge = Bridge(config.mqtt, logs, ask=ask, names=names, count=gateway.metrics.on_error, release=http.release())
    gateway.metrics.watch_broker(lambda: bridge.connected)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bridge.run(), name="mqtt")
        yield
        bridge.stop()
        await asyncio.wait({running}, timeout=_GOODBYE_S)
        running.cancel()


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes sessions out of the stages' parts."""

    config: Config
    engine: Engine
    sources: Peers
    fanouts: Fanouts
    hearing: Callable[[], Hearing] | None
    tokens: TokenLimit | None
    observers: tuple[Callable[[Envelope], None], ...]
    """Told of every event of every session."""

    def parts(self, *, outlasting: bool) -> Parts:
        """``outlasting``: the log outlasts this run of the server."""
        leave_open = self.fanouts.interrupt if outlasting else None
        return Parts(self._new, self._revive, self.fanouts.close, leave_open, self._remember)

    def _remember(self, session: Session) -> None:
        self.fanouts.logs.amend(opening_of(session.id, session.options))

    def _new(self, id: str, options: SessionOptions) -> Session:
        return self._session(id, options, Windower(id, self.config.windows))

    def _revive(self, past: Interrupted) -> Session:
        """Stream time goes on by the time that passed, as it does when a source was away."""
        id = past.opening.session
        position = past.at + max(0.0, (_wall() - past.wall).total_seconds())
        self.sources.resume(id, position)
        windower = Windower(id, self.config.windows, first=past.windows, start=position)
        return self._session(id, options_of(past.opening), windower, past)

    def _observe(self, event: Envelope) -> None:
        for observer in self.observers:
            observer(event)

    def _session(
        self, id: str, options: SessionOptions, windower: Windower, past: Interrupted | None = None
    ) -> Session:
        fanout = self.fanouts.open(opening_of(id, options))
        return Session(
            id,
            options,
            engine=self.engine,
            windower=windower,
            hearing=None if self.hearing is None else self.hearing(),
            journal=Journal(id, fanout, lambda: windower.position, _wall, self._observe),
            settings=self.config.sessions,
            grace_s=self.config.media.grace_s,
            clock=time.monotonic,
            tokens=self.tokens,
            past=past,
        )


def _publishing(config: Config) -> Publishing:
    return Publishing(
        talk=config.speech.mode,
        barge_in=config.sessions.barge_in,
        speech=config.speech.mode is not TalkMode.OFF,
        fit=config.media.fit,
        max_sdp_bytes=config.media.max_sdp_bytes,
        grace_s=config.media.grace_s,
        ice_servers=lambda: tuple(
            one.model_dump(mode="json", exclude_none=True) for one in turn.for_client(config.media, time.time())
        ),
    )


def _page() -> Path | None:
    """The page's folder; None in an installation without it."""
    folder = Path(str(resources.files("clients"))) / "web"
    return folder if (folder / "index.html").is_file() else None


def _wall() -> datetime:
    """The time of day, to the millisecond."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
