"""Optional OpenTelemetry spans over a question's whole life: from the end of its words to the end of its answer.

A question's spans are made when it has ended, from its own events: they carry what every stage took, the engine's too,
so the engine's process needs no tracing and nothing is propagated to it. Nothing that was said, asked or answered
enters a span.

All configuration is OpenTelemetry's own: spans are sent once ``OTEL_EXPORTER_OTLP_ENDPOINT`` (or its ``_TRACES_`` form)
names a collector that speaks OTLP over HTTP; ``OTEL_TRACES_SAMPLER``, ``OTEL_SERVICE_NAME`` and the others mean what
they mean everywhere. Until then nothing of its SDK is imported. The process's global tracer is left alone: FastAPI
would tell it the addresses of requests, tickets included.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stream_service.answers import events
from stream_service.types import CancelReason

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_log = logging.getLogger(__name__)
_FAILURES = frozenset({CancelReason.TIMEOUT, CancelReason.ENGINE_LOST, CancelReason.SERVER_LOST})
"""Ends that nobody chose."""
_GOODBYE_S = 3.0
"""How long the end of the service may wait for the collector to take the last spans."""
_ENGINE = ("queue", "encode", "fuse", "guide", "decode")
"""Laid end to end: with several windows before a question, encoding and fusing really take turns."""


@dataclass(slots=True)
class _Open:
    """A question that has not ended; moments are nanoseconds since 1970."""

    accepted: int
    began: int
    attributes: dict[str, str | float]
    spoken_ms: dict[str, float]
    first: int | None = None
    asked_again: int | None = None
    """When the engine was lost, and what had been said of the answer with it."""


@asynccontextmanager
async def spans(release: str) -> AsyncIterator[Sequence[Callable[[events.Envelope], None]]]:
    """What wants to hear of every event while the service (version ``release``) runs: nothing without a collector.

    On the way out the last spans are sent. A collector that is away costs spans and log lines, nothing else.
    """
    if not _wanted():
        yield ()
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
    except ImportError:
        _log.warning("no spans are sent: OpenTelemetry is not installed (pip install 'omnidrop-live[otel]')")
        yield ()
        return
    resource = Resource.create({"service.version": release})
    if str(resource.attributes["service.name"]).startswith("unknown_service"):  # the operator names none
        resource = resource.merge(Resource({"service.name": "omnidrop-live"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter: SpanExporter = OTLPSpanExporter()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield [QuestionSpans(provider).on_event]
    finally:
        ending = asyncio.create_task(asyncio.to_thread(provider.shutdown))
        await asyncio.wait({ending}, timeout=_GOODBYE_S)
        if not ending.done():
            exporter.shutdown()  # it would go on trying
        await ending


def _wanted() -> bool:
    """Whether the environment names a collector, by OpenTelemetry's own variables."""
    named = any(os.environ.get(f"OTEL_EXPORTER_OTLP_{kind}ENDPOINT") for kind in ("", "TRACES_"))
    return named and os.environ.get("OTEL_SDK_DISABLED", "").lower() != "true"


class QuestionSpans:
    """Push every event of every session; each question that ends becomes a trace.

    ``now`` is the time of day in nanoseconds.
    """

    def __init__(self, provider: TracerProvider, now: Callable[[], int] = time.time_ns) -> None:
        self._tracer = provider.get_tracer("stream_service")
        self._now = now
        self._open: dict[str, _Open] = {}

    def on_event(self, event: events.Envelope) -> None:
        """Take an event in."""
        match event:
            case events.QuestionAccepted():
                self._accept(event)
            case events.AnswerStarted() if one := self._open.get(event.question):
                if one.first is None:
                    one.first = self._now()
                    one.began = one.first - _ns(event.ttft_ms)
                    one.attributes["omnidrop.ttft_ms"] = event.ttft_ms
            case events.AnswerRestarted() if one := self._open.get(event.question):
                one.asked_again, one.first = self._now(), None
            case events.AnswerDone() if one := self._open.pop(event.question, None):
                one.attributes |= {
                    "omnidrop.windows": len(event.survivors),
                    "omnidrop.retention": event.retention,
                    "omnidrop.deep_share": event.deep_share,
                    "omnidrop.generated": event.generated,
                }
                self._end(one, event.finish_reason, event.timings_ms)
            case events.AnswerCancelled() if one := self._open.pop(event.question, None):
                self._end(one, event.reason.value, failed=event.reason in _FAILURES)
            case events.Error() if one := self._open.pop(event.question or "", None):
                self._end(one, event.code, failed=True)
            case _:
                pass

    def _accept(self, event: events.QuestionAccepted) -> None:
        now = self._now()
        attributes: dict[str, str | float] = {
            "session.id": event.session,
            "omnidrop.question": event.question,
            "omnidrop.source": event.source.value,
        }
        if event.confidence is not None:
            attributes["omnidrop.confidence"] = event.confidence
        self._open[event.question] = _Open(now, now - _ns(sum(event.timings_ms.values())), attributes, event.timings_ms)

    def _end(
        self, one: _Open, outcome: str, timings_ms: dict[str, float] | None = None, *, failed: bool = False
    ) -> None:
        from opentelemetry.trace import Status, StatusCode, set_span_in_context

        root = self._tracer.start_span("question", start_time=one.began, attributes=one.attributes)
        root.set_attribute("omnidrop.outcome", outcome)
        within = set_span_in_context(root)
        for name, moment in (("asked again", one.asked_again), ("first token", one.first)):
            if moment is not None:
                root.add_event(name, timestamp=moment)
        ended = self._now()
        for name, (start, end) in _parts(one, timings_ms or {}, ended).items():
            self._tracer.start_span(name, within, start_time=start).end(end)
        if failed:
            root.set_attribute("error.type", outcome)
            root.set_status(Status(StatusCode.ERROR, outcome))
        root.end(ended)


def _parts(one: _Open, timings_ms: dict[str, float], ended: int) -> dict[str, tuple[int, int]]:
    """Start and end of every part of a question's life that is known, by name."""
    parts = {}
    if "hang_over" in one.spoken_ms:
        parts["hang_over"] = (one.began, one.began + _ns(one.spoken_ms["hang_over"]))
    if "transcribe" in one.spoken_ms:
        parts["transcribe"] = (one.accepted - _ns(one.spoken_ms["transcribe"]), one.accepted)
    at = ended - _ns(timings_ms.get("total", 0.0))
    for name in _ENGINE:
        if name in timings_ms:
            parts[name] = (at, at := at + _ns(timings_ms[name]))
    return parts


def _ns(ms: float) -> int:
    return round(ms * 1e6)
