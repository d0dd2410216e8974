"""Puts the service together and runs it: the one file that names the stages' concrete classes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from stream_service.answers.fanout import Fanouts
from stream_service.answers.log import MemoryLogs
from stream_service.api import certificate, http, server
from stream_service.api.gateway import Gateway, Publishing
from stream_service.api.quotas import Quotas
from stream_service.api.security import Gate, check_exposure
from stream_service.ask import Asked
from stream_service.ask import ask as one_shot
from stream_service.config import Config
from stream_service.engine.client import LocalEngine
from stream_service.media.clip import Clip
from stream_service.media.peers import Peers
from stream_service.metrics import Metrics
from stream_service.session.controller import Hearing, Session, SessionOptions
from stream_service.session.journal import Journal
from stream_service.session.ports import Engine
from stream_service.session.questions import worded
from stream_service.session.registry import Parts, Sessions
from stream_service.speech.activity import SileroModel
from stream_service.speech.front import SpeechFront
from stream_service.speech.transcriber import Transcriber
from stream_service.types import SessionSettings, TalkMode
from stream_service.windows import Windower


async def serve(config: Config, announce: Callable[[str], None]) -> None:
    """Run the service until SIGTERM or SIGINT; ``announce`` gets its URL once it answers.

    A first signal lets running answers finish (``sessions.drain_s``), a second one does not wait for them. Raises
    StartupError when it cannot start.
    """
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
    engine = LocalEngine(config.engine.model_copy(update={"behind_s": 60.0, "answer_timeout_s": 600.0}))
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
        hearing = await stack.enter_async_context(_speech(config))
        info = await engine.start()
        stack.push_async_callback(engine.stop, drain_s=0.0)
        sources = Peers(config.media, info.frame_size)
        stack.push_async_callback(sources.stop)
        logs = MemoryLogs(config.answers.history, config.answers.closed_sessions)
        fanouts = Fanouts(logs, config.answers.subscriber_queue)
        parts = Parts(lambda id, options: _session(id, options, config, engine, fanouts, hearing), fanouts.close)
        sessions = Sessions(engine, sources, parts, info)
        metrics = Metrics()
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
        yield lambda: Hearing(SpeechFront(config.speech, voices.listen()), transcriber)
    finally:
        await transcriber.stop()


def _session(
    id: str,
    options: SessionOptions,
    config: Config,
    engine: Engine,
    fanouts: Fanouts,
    hearing: Callable[[], Hearing] | None,
) -> Session:
    windower = Windower(id, config.windows)
    return Session(
        id,
        options,
        engine=engine,
        windower=windower,
        hearing=None if hearing is None else hearing(),
        journal=Journal(id, fanouts.open(id), lambda: windower.position, _wall),
        settings=config.sessions,
        grace_s=config.media.grace_s,
        clock=time.monotonic,
    )


def _publishing(config: Config) -> Publishing:
    return Publishing(
        talk=config.speech.mode,
        barge_in=config.sessions.barge_in,
        speech=config.speech.mode is not TalkMode.OFF,
        max_sdp_bytes=config.media.max_sdp_bytes,
        grace_s=config.media.grace_s,
        ice_servers=tuple(one.model_dump(mode="json", exclude_none=True) for one in config.media.ice_servers),
    )


def _page() -> Path | None:
    """The page's folder; None in an installation without it."""
    folder = Path(str(resources.files("clients"))) / "web"
    return folder if (folder / "index.html").is_file() else None


def _wall() -> datetime:
    """The time of day, to the millisecond."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
