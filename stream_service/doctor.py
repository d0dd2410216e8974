"""``omnidrop doctor``: looks at everything that a deployment depends on, and says what to do about what is wrong."""

from __future__ import annotations

import asyncio
import socket
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx

from stream_service.answers import mqtt
from stream_service.answers.store import open_logs
from stream_service.api import certificate, server
from stream_service.api.security import check_exposure, is_loopback
from stream_service.api.tokens import read_file
from stream_service.config import Config
from stream_service.engine import probe
from stream_service.errors import OmniDropError, StartupError
from stream_service.media import probe as ice
from stream_service.media import turn
from stream_service.speech.settings import check_understood
from stream_service.types import TalkMode

_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about ``subject``; ``remedy`` is what to do unless it is ok."""

    level: Literal["ok", "warn", "fail"]
    subject: str
    message: str
    remedy: str = ""


async def examine(config: Config) -> AsyncIterator[Finding]:
    """Every finding, as it is made; nothing is changed and no model is loaded."""
    checks: list[tuple[str, Callable[[Config], Awaitable[Finding | str]]]] = [
        ("camera", _camera),
        ("access", _access),
        ("port", _port),
        ("media", _media),
        ("events", _events),
        ("broker", _broker),
        ("device", _device),
        ("weights", _weights),
        ("speech", _speech),
    ]
    for subject, check in checks:
        try:
            found = await check(config)
        except OmniDropError as error:
            found = Finding("fail", subject, error.message, error.remedy)
        yield Finding("ok", subject, found) if isinstance(found, str) else found
    for one in turn.for_client(config.media, time.time()):
        for url in one.urls:
            try:
                yield Finding("ok", "turn", f"{url} answers from {await ice.relay(one, url, _PATIENCE_S)}")
            except StartupError as error:
                yield Finding("fail", "turn", error.message, error.remedy)


async def _camera(config: Config) -> Finding | str:
    certificate.check(config.server)
    if config.server.scheme == "https":
        return f"pages of this server may use a camera: HTTPS with {config.server.tls_certificate}"
    if is_loopback(config.server.host):
        return "a browser on this machine may use its camera; a phone may not"
    return Finding(
        "warn",
        "camera",
        "browsers lend a camera to https:// pages only, and this server speaks HTTP to the network",
        "Set server.tls_certificate and server.tls_key, use --dev-certificate, or put a proxy with TLS before it.",
    )


async def _access(config: Config) -> Finding | str:
    check_exposure(config.server)
    if not config.server.guarded:
        return "this machine only, without tokens"
    in_file = () if config.server.tokens_file is None else read_file(config.server.tokens_file)
    if config.server.tokens_file is not None and config.server.tokens_file.stat().st_mode & stat.S_IWOTH:
        return Finding(
            "warn", "access", f"everyone may write {config.server.tokens_file}", "Run chmod o-w on that file."
        )
    names = sorted({token.client.name for token in (*config.server.tokens, *in_file)})
    return f"{len(names)} clients with tokens: {', '.join(names)}"


async def _port(config: Config) -> Finding | str:
    try:
        server.listen(config.server).close()
    except StartupError:
        if await _is_ours(config):
            return f"OmniDrop Live runs already on port {config.server.port}"
        raise
    return f"{config.server.host}:{config.server.port} is free"


async def _is_ours(config: Config) -> bool:
    host = "127.0.0.1" if config.server.host in ("0.0.0.0", "::") else config.server.host
    url = f"{config.server.scheme}://{host}:{config.server.port}/healthz"
    try:
        async with httpx.AsyncClient(verify=False, timeout=_PATIENCE_S) as client:  # its own certificate may be any
            return bool((await client.get(url)).json() == {"status": "ok"})
    except (httpx.HTTPError, ValueError):
        return False


async def _media(config: Config) -> Finding | str:
    settings = config.media
    addresses = [
        *(settings.bind or certificate.host_addresses()),
        *([settings.public_ip] if settings.public_ip else []),
    ]
    told = ", ".join(addresses) or "loopback only"
    if settings.udp_ports is None:
        return f"received by UDP at any port of {told}"
    first, last = settings.udp_ports
    free = sum(_is_free(port) for port in range(first, last + 1))
    if not free:
        return Finding("fail", "media", f"no UDP port of {first} to {last} is free", "Choose other media.udp_ports.")
    return f"received at {free} free UDP ports of {first} to {last} of {told}"


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probing:
        try:
            probing.bind(("", port))
        except OSError:
            return False
    return True


async def _events(config: Config) -> Finding | str:
    url = config.answers.log
    if url == "memory":
        return Finding("warn", "events", "kept in memory: a restart forgets them", "Set answers.log to sqlite:///PATH.")
    if url.startswith("sqlite:///") and not await asyncio.to_thread(Path(url.removeprefix("sqlite:///")).exists):
        return f"will be kept in {url.removeprefix('sqlite:///')}, made at the first start"
    if await _is_ours(config):
        return "kept by the server that runs"
    log = await open_logs(url, history=64, keep_s=float("inf"), keep_size=2**62)
    await log.close()
    return "the log opens"


async def _broker(config: Config) -> Finding | str:
    if config.mqtt.host is None:
        return "no MQTT (mqtt.host)"
    await mqtt.reach(config.mqtt, _PATIENCE_S)
    return f"{config.mqtt.host}:{config.mqtt.port} lets us in"


async def _device(config: Config) -> Finding | str:
    return await asyncio.to_thread(probe.accelerator, config.engine)


async def _weights(config: Config) -> Finding | str:
    return await asyncio.to_thread(probe.weights, config.engine)


async def _speech(config: Config) -> Finding | str:
    if config.speech.mode is TalkMode.OFF:
        return "questions are typed (speech.mode)"
    if config.speech.question == "transcript":
        return "the transcript of what is said asks"
    understood = await asyncio.to_thread(probe.spoken_questions, config.engine)
    if understood is None:
        return "speech itself asks; whether the model understands it is checked at the start"
    check_understood(config.speech, config.engine.model, spoken_questions=understood)
    return "speech itself asks, and the model understands it"
