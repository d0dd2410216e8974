"""Writes a session's events: numbers them, stamps them with both clocks, and publishes them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from stream_service.answers.events import Envelope
from stream_service.answers.fanout import Fanout
from stream_service.answers.log import Record
from stream_service.session.summary import Summary

_log = logging.getLogger(__name__)
_FREQUENT = {"window.fused", "answer.delta", "store.evicted"}  # several a second, or one: only for debugging


class Journal:
    """One session's writer; ``position`` is its stream clock and ``wall`` the time of day (timezone-aware).

    ``count`` is told of every event, for the service's metrics; ``summary`` is the session in a few figures.
    """

    def __init__(
        self,
        session: str,
        fanout: Fanout,
        position: Callable[[], float],
        wall: Callable[[], datetime],
        count: Callable[[Envelope], None],
    ) -> None:
        self.summary = Summary()
        self._count = count
        self._session = session
        self._fanout = fanout
        self._position = position
        self._wall = wall

    @property
    def last(self) -> int:
        return self._fanout.log.last

    @property
    def subscribers(self) -> int:
        return self._fanout.subscribers

    def write(self, event: type[Envelope], *, at: float | None = None, **fields: Any) -> None:
        """Publish an ``event`` about stream time ``at`` (the newest media by default)."""
        moment = self._position() if at is None else at
        seq = self._fanout.log.last + 1
        made = event(seq=seq, session=self._session, at=round(max(0.0, moment), 3), wall=self._wall(), **fields)
        self.summary.note(made)
        self._count(made)
        kind = made.model_dump(include={"type"})["type"]
        level = logging.DEBUG if kind in _FREQUENT else logging.INFO
        _log.log(level, "%s", kind, extra={"session": self._session, "question": fields.get("question")})
        self._fanout.publish(Record(seq, kind, made.model_dump_json()))
