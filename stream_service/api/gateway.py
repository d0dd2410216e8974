"""What the routes work on, put together by ``app.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi import Request

from stream_service.answers.fanout import Fanouts
from stream_service.api.quotas import Quotas
from stream_service.api.security import Gate
from stream_service.api.settings import ServerSettings
from stream_service.errors import NotFound
from stream_service.metrics import Metrics
from stream_service.session.ports import Engine, Sources
from stream_service.session.registry import Sessions
from stream_service.session.settings import BargeIn, SessionsSettings
from stream_service.types import EngineInfo, Fit, TalkMode


@dataclass(frozen=True, slots=True)
class Publishing:
    """What a publisher needs to know, and what holds where it does not choose.

    ``fit`` is how pictures become the model's; ``max_sdp_bytes`` bounds an offer; ``ice_servers()`` makes WebRTC's
    RTCIceServer objects for one client, whose credentials may be its own.
    """

    talk: TalkMode
    barge_in: BargeIn
    speech: bool
    fit: Fit
    max_sdp_bytes: int
    grace_s: float
    ice_servers: Callable[[], tuple[dict[str, Any], ...]]


@dataclass(frozen=True, slots=True)
class Gateway:
    """The running service, as its HTTP side sees it."""

    sessions: Sessions
    engine: Engine
    sources: Sources
    fanouts: Fanouts
    info: EngineInfo
    gate: Gate
    quotas: Quotas
    metrics: Metrics
    server: ServerSettings
    questions: SessionsSettings
    publishing: Publishing
    page: Path | None
    wall: Callable[[], datetime]


def gateway_of(request: Request) -> Gateway:
    """The gateway behind a request (a FastAPI dependency)."""
    gateway: Gateway = request.app.state.gateway
    return gateway


def source_of(gateway: Gateway, session: str) -> dict[str, float]:
    """Statistics of a session's source; empty while it has none."""
    try:
        return gateway.sources.stats(session)
    except NotFound:  # not negotiated yet, or just taken away
        return {}
