"""The HTTP server as a part of a larger program: its socket, its signals, and uvicorn between them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Self

import uvicorn
from fastapi import FastAPI

from stream_service.api.certificate import host_addresses
from stream_service.api.security import is_loopback
from stream_service.api.settings import ServerSettings
from stream_service.errors import StartupError


def listen(settings: ServerSettings) -> socket.socket:
    """A listening socket, before anything slow is started; raises StartupError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror:
        raise StartupError(
            f"{settings.host!r} is no address of this machine.", field="server.host", remedy="Correct server.host."
        ) from None
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        taken = error.errno == errno.EADDRINUSE
        raise StartupError(
            f"Port {settings.port} is in use."
            if taken
            else f"Cannot listen on {settings.host}:{settings.port}: {error}.",
            field="server.port",
            remedy="Stop the program that uses it, or choose another one (OMNIDROP_SERVER__PORT=8081).",
        ) from None
    return listener


def url_of(settings: ServerSettings, listener: socket.socket) -> str:
    """Where the page is."""
    host = settings.host
    if is_loopback(host):
        host = "::1" if listener.family is socket.AF_INET6 else "127.0.0.1"
    if host in ("0.0.0.0", "::", ""):
        host = next(iter(host_addresses()), "127.0.0.1")
    return f"{settings.scheme}://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def configure(settings: ServerSettings, app: FastAPI) -> uvicorn.Config:
    """uvicorn around ``app``; what runs beside it is started before and stopped after it, so without lifespan."""
    return uvicorn.Config(
        app,
        lifespan="off",
        ws="websockets-sansio",  # the other implementation needs websockets' deprecated legacy package
        ws_ping_interval=settings.ping_s,
        ws_ping_timeout=settings.ping_s,
        ws_max_size=65_536,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )


class Server(uvicorn.Server):
    """uvicorn without its signal handlers, which would cut running answers short."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()


class Signals:
    """Turns SIGTERM and SIGINT into an orderly stop, within a ``with`` block of one task.

    The first one sets :attr:`stop`; before the service runs (:meth:`when_hurried` not called yet) it also cancels the
    task, which is still loading. Further ones call what was given to :meth:`when_hurried`.
    """

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self._hurry: Callable[[], None] | None = None

    def when_hurried(self, react: Callable[[], None]) -> None:
        self._hurry = react

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        first = not self.stop.is_set()
        self.stop.set()
        if self._hurry is None and self._task is not None:
            self._task.cancel()
        elif self._hurry is not None and not first:
            self._hurry()
