"""Prometheus metrics: what happened (counted from the engine's events) and what is (gauges, read when scraped)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from stream_service.types import (
    AnswerCancelled,
    AnswerDone,
    AnswerStarted,
    EngineEvent,
    EngineFault,
    EngineRestarted,
    EngineStats,
    Overloaded,
    StoreEvicted,
    WindowFused,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class Metrics:
    """The service's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._count_windows()
        self._count_answers()
        self._count_trouble()
        self._gauge_engine()

    def _count_windows(self) -> None:
        into = self.registry
        self._windows = Counter("omnidrop_windows_fused_total", "Windows fused into sessions' memories", registry=into)
        labels = ["modality"]
        self._seen = Counter("omnidrop_tokens_seen_total", "Tokens made by the encoders", labels, registry=into)
        self._kept = Counter("omnidrop_tokens_kept_total", "Tokens left after compression", labels, registry=into)
        self._evicted = Counter("omnidrop_tokens_evicted_total", "Tokens evicted from memories", registry=into)
        self._encode = Histogram("omnidrop_encode_seconds", "Time to encode a window", buckets=_SECONDS, registry=into)
        self._fuse = Histogram("omnidrop_fuse_seconds", "Time to fuse a window", buckets=_SECONDS, registry=into)

    def _count_answers(self) -> None:
        into = self.registry
        self._answers = Counter("omnidrop_answers_total", "Questions that ended", ["outcome"], registry=into)
        self._ttft = Histogram(
            "omnidrop_ttft_seconds",
            "Time to first token, from the engine's receipt on",
            buckets=_SECONDS,
            registry=into,
        )
        self._parts = Histogram(
            "omnidrop_answer_part_seconds", "Parts of answering a question", ["part"], buckets=_SECONDS, registry=into
        )
        self._generated = Counter("omnidrop_tokens_generated_total", "Tokens of answers", registry=into)

    def _count_trouble(self) -> None:
        into = self.registry
        self._dropped_frames = Counter("omnidrop_frames_dropped_total", "Frames dropped under overload", registry=into)
        self._dropped_windows = Counter(
            "omnidrop_windows_degraded_total", "Windows that overload touched", ["action"], registry=into
        )
        self._restarts = Counter("omnidrop_engine_restarts_total", "Sessions reopened by a new engine", registry=into)
        self._errors = Counter("omnidrop_errors_total", "Errors reported to clients", ["code"], registry=into)

    def _gauge_engine(self) -> None:
        into = self.registry
        self._sessions = Gauge("omnidrop_sessions", "Sessions open", registry=into)
        self._queued = Gauge("omnidrop_windows_queued", "Windows that wait for the engine", registry=into)
        self._running = Gauge("omnidrop_answers_running", "Answers being generated", registry=into)
        self._age = Gauge("omnidrop_oldest_window_age_seconds", "Age of the oldest window that waits", registry=into)
        self._resident = Gauge("omnidrop_engine_resident_bytes", "Memory of the engine process", registry=into)

    def on_engine(self, event: EngineEvent) -> None:
        """Count an event of the engine."""
        match event:
            case WindowFused():
                self._on_window(event)
            case StoreEvicted():
                self._evicted.inc(event.tokens)
            case AnswerStarted():
                self._ttft.observe(event.ttft_ms / 1000)
            case AnswerDone():
                self._answers.labels(event.finish_reason).inc()
                self._generated.inc(event.generated)
                for part, ms in event.timings_ms.items():
                    self._parts.labels(part).observe(ms / 1000)
            case AnswerCancelled():
                self._answers.labels(event.reason.value).inc()
            case Overloaded():
                self._dropped_frames.inc(event.frames)
                self._dropped_windows.labels(event.action).inc(event.windows)
            case EngineRestarted():
                self._restarts.inc()
            case EngineFault():
                self.on_error(event.code)

    def on_error(self, code: str) -> None:
        """Count an error that a client was told of."""
        self._errors.labels(code).inc()

    def exposition(self, stats: EngineStats) -> bytes:
        """The text that a Prometheus server reads, with the gauges set from ``stats``."""
        self._sessions.set(stats.sessions)
        self._queued.set(stats.queued_windows)
        self._running.set(stats.running_answers)
        self._age.set(stats.oldest_window_age)
        self._resident.set(stats.resident_bytes)
        return generate_latest(self.registry)

    def _on_window(self, event: WindowFused) -> None:
        self._windows.inc()
        for modality in ("video", "audio"):
            self._seen.labels(modality).inc(getattr(event.seen, modality))
            self._kept.labels(modality).inc(getattr(event.kept, modality))
        self._encode.observe(event.encode_ms / 1000)
        self._fuse.observe(event.fuse_ms / 1000)
