"""Prometheus metrics: what happened (counted from events as they happen) and what is (gauges, set when scraped)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from stream_service.answers import events
from stream_service.types import (
    AnswerCancelled,
    AnswerDone,
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
        self._count_speech_and_sources()
        self._count_trouble()
        self._gauge()
        self._source_totals: dict[str, int] = {}

    def _count_windows(self) -> None:
        into = self.registry
        self._windows = Counter("omnidrop_windows_fused_total", "Windows fused into sessions' memories", registry=into)
        still = "Seconds of picture that stood still and took the encoder's tokens of an earlier one"
        self._still = Counter("omnidrop_still_seconds_total", still, registry=into)
        labels = ["modality"]
        self._seen = Counter("omnidrop_tokens_seen_total", "Tokens made by the encoders", labels, registry=into)
        self._kept = Counter("omnidrop_tokens_kept_total", "Tokens left after compression", labels, registry=into)
        self._evicted = Counter("omnidrop_tokens_evicted_total", "Tokens evicted from memories", registry=into)
        self._coverage = Histogram(
            "omnidrop_coverage",
            "Share of a session's past windows still in its memory, at each window",
            buckets=tuple(tenth / 10 for tenth in range(1, 11)),
            registry=into,
        )
        self._wait = Histogram(
            "omnidrop_window_wait_seconds",
            "What a window waited in the engine's queue, beside being encoded and fused",
            buckets=_SECONDS,
            registry=into,
        )
        self._encode = Histogram("omnidrop_encode_seconds", "Time to encode a window", buckets=_SECONDS, registry=into)
        self._fuse = Histogram("omnidrop_fuse_seconds", "Time to fuse a window", buckets=_SECONDS, registry=into)

    def _count_answers(self) -> None:
        into = self.registry
        self._answers = Counter("omnidrop_answers_total", "Questions that ended", ["outcome"], registry=into)
        self._ttft = Histogram(
            "omnidrop_ttft_seconds",
            "What an asker waits for: from the last voiced sample, or the question's receipt, to the first text",
            buckets=_SECONDS,
            registry=into,
        )
        self._parts = Histogram(
            "omnidrop_answer_part_seconds", "Parts of answering a question", ["part"], buckets=_SECONDS, registry=into
        )
        self._generated = Counter("omnidrop_tokens_generated_total", "Tokens of answers", registry=into)

    def _count_speech_and_sources(self) -> None:
        into = self.registry
        self._questions = Counter("omnidrop_questions_total", "Questions accepted", ["source"], registry=into)
        self._utterances = Counter("omnidrop_utterances_total", "Turns of speech", ["outcome"], registry=into)
        self._lost = Counter("omnidrop_sources_lost_total", "Times that a source was lost", registry=into)
        self._back = Counter("omnidrop_reconnects_total", "Times that a lost source came back", registry=into)
        self._gaps = Histogram(
            "omnidrop_reconnect_gap_seconds", "Time without a source", buckets=(1, 2, 5, 10, 20, 30, 60), registry=into
        )
        self._from_sources = {
            "frames": Counter("omnidrop_source_frames_total", "Frames received", registry=into),
            "dropped": Counter(
                "omnidrop_source_dropped_total", "Frames and sound not usable, or not decoded", registry=into
            ),
            "packets_received": Counter("omnidrop_source_packets_total", "Packets received", registry=into),
            "packets_lost": Counter("omnidrop_source_packets_lost_total", "Packets lost", registry=into),
        }

    def _count_trouble(self) -> None:
        into = self.registry
        self._dropped_frames = Counter("omnidrop_frames_dropped_total", "Frames dropped under overload", registry=into)
        self._dropped_windows = Counter(
            "omnidrop_windows_degraded_total", "Windows that overload touched", ["action"], registry=into
        )
        self._restarts = Counter("omnidrop_engine_restarts_total", "Sessions reopened by a new engine", registry=into)
        self._errors = Counter("omnidrop_errors_total", "Errors reported to clients", ["code"], registry=into)

    def _gauge(self) -> None:
        into = self.registry
        self._sessions = Gauge("omnidrop_sessions", "Sessions by state", ["state"], registry=into)
        self._subscribers = Gauge("omnidrop_subscribers", "Answer WebSockets open", registry=into)
        self._level = Gauge("omnidrop_degradation", "1 for the step of degradation in force", ["step"], registry=into)
        self._queued = Gauge("omnidrop_windows_queued", "Windows that wait for the engine", registry=into)
        self._running = Gauge("omnidrop_answers_running", "Answers being generated", registry=into)
        self._age = Gauge("omnidrop_oldest_window_age_seconds", "Age of the oldest window that waits", registry=into)
        self._resident = Gauge("omnidrop_engine_resident_bytes", "Memory of the engine process", registry=into)
        self._tasks = Gauge("omnidrop_gateway_tasks", "asyncio tasks of the gateway", registry=into)

    def watch_log(self, failing: Callable[[], bool]) -> None:
        """Ask ``failing`` at every scrape whether the event log refuses to be written."""
        gauge = Gauge("omnidrop_log_failing", "1 while events wait because their log refuses", registry=self.registry)
        gauge.set_function(lambda: float(failing()))

    def watch_broker(self, connected: Callable[[], bool]) -> None:
        """Ask ``connected`` at every scrape whether the MQTT broker is there."""
        gauge = Gauge("omnidrop_mqtt_connected", "1 while connected to the MQTT broker", registry=self.registry)
        gauge.set_function(lambda: float(connected()))

    def on_engine(self, event: EngineEvent) -> None:
        """Count an event of the engine."""
        match event:
            case WindowFused():
                self._on_window(event)
            case StoreEvicted():
                self._evicted.inc(event.tokens)
            case AnswerDone():
                self._answers.labels(event.finish_reason).inc()
                self._generated.inc(event.generated)
                for part, ms in event.timings_ms.items():
                    self._parts.labels(part).observe(ms / 1000)
            case AnswerCancelled():
                self._answers.labels(event.reason.value).inc()
            case EngineFault() if event.question is not None:
                self._answers.labels("error").inc()
            case Overloaded():
                self._dropped_frames.inc(event.frames)
                self._dropped_windows.labels(event.action).inc(event.windows)
            case EngineRestarted():
                self._restarts.inc()
            case _:
                pass

    def on_event(self, event: events.Envelope) -> None:
        """Count an event that subscribers see."""
        match event:
            case events.AnswerStarted():
                self._ttft.observe(event.ttft_ms / 1000)
            case events.QuestionAccepted():
                self._questions.labels(event.source.value).inc()
                for part, ms in event.timings_ms.items():
                    self._parts.labels(part).observe(ms / 1000)
            case events.SpeechStopped():
                self._utterances.labels("heard" if event.dropped is None else "dropped").inc()
            case events.SourceLost():
                self._lost.inc()
            case events.SourceBack():
                self._back.inc()
                self._gaps.observe(event.gap)
            case events.Error():
                self.on_error(event.code)
            case _:
                pass

    def on_error(self, code: str) -> None:
        """Count an error that a client was told of."""
        self._errors.labels(code).inc()

    def on_sessions(self, states: Mapping[str, int]) -> None:
        """Set how many sessions are in each state."""
        for state in ("opening", "live", "lost"):
            self._sessions.labels(state).set(states.get(state, 0))

    def on_subscribers(self, count: int) -> None:
        """Set how many answer WebSockets are open."""
        self._subscribers.set(count)

    def on_tasks(self, count: int) -> None:
        """Set how many asyncio tasks the gateway has: what grows without end is a leak."""
        self._tasks.set(count)

    def on_sources(self, totals: Mapping[str, int]) -> None:
        """Count what all sources so far have brought beyond what they had at the last call."""
        for key, counter in self._from_sources.items():
            before = self._source_totals.get(key, 0)
            now = max(before, totals.get(key, 0))  # a packet counted as lost may yet arrive, but a counter never falls
            counter.inc(now - before)
            self._source_totals[key] = now

    def exposition(self, stats: EngineStats) -> bytes:
        """The text that a Prometheus server reads, with the gauges set from ``stats``."""
        self._queued.set(stats.queued_windows)
        self._running.set(stats.running_answers)
        self._age.set(stats.oldest_window_age)
        self._resident.set(stats.resident_bytes)
        self._level.clear()
        self._level.labels(stats.degradation).set(1)
        return generate_latest(self.registry)

    def _on_window(self, event: WindowFused) -> None:
        self._windows.inc()
        self._still.inc(event.shared)
        self._coverage.observe(event.coverage)
        for modality in ("video", "audio"):
            self._seen.labels(modality).inc(getattr(event.seen, modality))
            self._kept.labels(modality).inc(getattr(event.kept, modality))
        self._wait.observe(event.wait_ms / 1000)
        self._encode.observe(event.encode_ms / 1000)
        self._fuse.observe(event.fuse_ms / 1000)
