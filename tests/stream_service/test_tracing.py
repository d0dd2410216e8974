"""A question's spans, from a session's own events to OpenTelemetry's in-memory exporter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from stream_service import tracing
from stream_service.answers import events
from stream_service.tracing import QuestionSpans
from stream_service.types import CancelReason, QuestionSource
from tests.stream_service.fakes import wall

SPOKEN = {"hang_over": 600.0, "transcribe": 100.0}
ENGINE = {"queue": 5.0, "encode": 30.0, "fuse": 20.0, "guide": 45.0, "decode": 90.0, "total": 190.0}


class Story:
    """Tells a tracer what happened to questions at moments counted in ms."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.ms = 0.0
        self._spans = QuestionSpans(self.provider, lambda: round(self.ms * 1e6))

    def tell(self, at_ms: float, event: type[events.Envelope], **fields: Any) -> None:
        self.ms = at_ms
        self._spans.on_event(event(seq=1, session="s", at=1.0, wall=wall(), **fields))

    def accept(self, at_ms: float, question: str = "q1", spoken: bool = True) -> None:
        self.tell(
            at_ms,
            events.QuestionAccepted,
            question=question,
            text="What is secret?",
            source=QuestionSource.SPEECH if spoken else QuestionSource.HTTP,
            confidence=0.9 if spoken else None,
            timings_ms=SPOKEN if spoken else {},
        )

    def done(self, at_ms: float, question: str = "q1") -> None:
        self.tell(
            at_ms,
            events.AnswerDone,
            question=question,
            text="A secret.",
            finish_reason="stop",
            timings_ms=SPOKEN | ENGINE,
            tokens_per_layer=[9, 3],
            survivors=[events.Survivors(start=0, end=2, video=[9, 3], audio=[0, 0])],
            retention=0.4,
            deep_share=0.3,
            generated=3,
        )

    def traces(self) -> dict[str, dict[str, ReadableSpan]]:
        """Spans by name, by question."""
        finished = self.exporter.get_finished_spans()
        roots = {span.context.trace_id: span for span in finished if span.parent is None}
        traces: dict[str, dict[str, ReadableSpan]] = {}
        for span in finished:
            root = roots[span.context.trace_id]
            assert span is root or (span.parent is not None and span.parent.span_id == root.context.span_id)
            traces.setdefault(str((root.attributes or {})["omnidrop.question"]), {})[span.name] = span
        return traces


@pytest.fixture
def story() -> Iterator[Story]:
    told = Story()
    yield told
    told.provider.shutdown()


def between(span: ReadableSpan) -> tuple[float, float]:
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time / 1e6, span.end_time / 1e6


def test_a_spoken_question_is_told_from_the_end_of_its_words(story: Story) -> None:
    story.accept(1000)
    story.tell(1110, events.AnswerStarted, question="q1", ttft_ms=850.0)
    story.tell(1150, events.AnswerDelta, question="q1", text="A secret.")
    story.done(1200)
    trace = story.traces()["q1"]
    root = trace.pop("question")
    assert between(root) == (260, 1200), "the first text came 850 ms after the last voiced sample"
    assert {name: between(span) for name, span in trace.items()} == {
        "hang_over": (260, 860),
        "transcribe": (900, 1000),  # it waited 40 ms for an earlier one
        "queue": (1010, 1015),
        "encode": (1015, 1045),
        "fuse": (1045, 1065),
        "guide": (1065, 1110),
        "decode": (1110, 1200),
    }
    assert [(event.name, event.timestamp / 1e6) for event in root.events] == [("first token", 1110)]
    assert root.status.status_code is StatusCode.UNSET
    assert dict(root.attributes or {}) == {
        "session.id": "s",
        "omnidrop.question": "q1",
        "omnidrop.source": "speech",
        "omnidrop.confidence": 0.9,
        "omnidrop.ttft_ms": 850.0,
        "omnidrop.windows": 1,
        "omnidrop.retention": 0.4,
        "omnidrop.deep_share": 0.3,
        "omnidrop.generated": 3,
        "omnidrop.outcome": "stop",
    }
    assert "secret" not in "".join(span.to_json() for span in (root, *trace.values()))


def test_a_typed_question_begins_when_it_is_taken(story: Story) -> None:
    story.accept(1000, spoken=False)
    story.done(1200)
    trace = story.traces()["q1"]
    assert between(trace["question"]) == (1000, 1200)
    assert set(trace) == {"question", "queue", "encode", "fuse", "guide", "decode"}


@pytest.mark.parametrize("reason", list(CancelReason))
def test_an_end_that_nobody_chose_is_an_error(story: Story, reason: CancelReason) -> None:
    story.accept(1000, spoken=False)
    story.tell(1100, events.AnswerCancelled, question="q1", reason=reason, text="")
    root = story.traces()["q1"]["question"]
    failed = reason in (CancelReason.TIMEOUT, CancelReason.ENGINE_LOST, CancelReason.SERVER_LOST)
    assert (root.status.status_code is StatusCode.ERROR) is failed
    assert ((root.attributes or {}).get("error.type") == reason.value) is failed
    assert (root.attributes or {})["omnidrop.outcome"] == reason.value


def test_what_the_engine_refuses_is_an_error_by_its_code(story: Story) -> None:
    story.accept(1000)
    story.tell(1001, events.Error, code="busy", message="Secret.", remedy="Wait.", question="q1")
    story.tell(1002, events.Error, code="speech_not_understood", message="What?", remedy="Again.")
    story.tell(1003, events.AnswerCancelled, question="of an earlier run", reason=CancelReason.SERVER_LOST, text="")
    traces = story.traces()
    assert set(traces) == {"q1"}
    assert set(traces["q1"]) == {"question", "hang_over", "transcribe"}
    assert traces["q1"]["question"].status.description == "busy"


def test_an_answer_that_began_twice_is_told_by_its_second_beginning(story: Story) -> None:
    story.accept(1000, spoken=False)
    story.tell(1100, events.AnswerStarted, question="q1", ttft_ms=100.0)
    story.tell(1150, events.AnswerRestarted, question="q1", text="A se")
    story.tell(1900, events.AnswerStarted, question="q1", ttft_ms=900.0)
    story.done(2000)
    root = story.traces()["q1"]["question"]
    assert between(root) == (1000, 2000)
    assert [(event.name, event.timestamp / 1e6) for event in root.events] == [
        ("asked again", 1150),
        ("first token", 1900),
    ]
    assert (root.attributes or {})["omnidrop.ttft_ms"] == 900.0


def test_questions_are_kept_apart_and_forgotten_when_they_end(story: Story) -> None:
    story.accept(1000, "q1")
    story.accept(1010, "q2", spoken=False)
    story.tell(1020, events.AnswerCancelled, question="q1", reason=CancelReason.BARGE_IN, text="")
    story.done(1200, "q2")
    story.done(1300, "q2")
    assert {question: between(trace["question"])[1] for question, trace in story.traces().items()} == {
        "q1": 1020,
        "q2": 1200,
    }


# What is sent, and when nothing is -----------------------------------------------------------------------------------


async def test_a_collector_that_is_away_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(tracing, "_GOODBYE_S", 0.0)
    async with tracing.spans("1.0") as observers:
        (observe,) = observers
        accepted = {"question": "q1", "text": "?", "source": QuestionSource.HTTP, "confidence": None, "timings_ms": {}}
        observe(events.QuestionAccepted(seq=1, session="s", at=1.0, wall=wall(), **accepted))  # type: ignore[arg-type]
        cancelled = {"question": "q1", "reason": CancelReason.CLIENT, "text": ""}
        observe(events.AnswerCancelled(seq=2, session="s", at=1.0, wall=wall(), **cancelled))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "environment", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "TRUE"}]
)
async def test_without_a_collector_nobody_listens(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    async with tracing.spans("1.0") as observers:
        assert not observers


def test_the_sdk_is_not_imported_until_it_is_wanted() -> None:
    check = "import sys, stream_service.tracing; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


async def test_without_the_package_the_service_runs_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318/v1/traces")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    async with tracing.spans("1.0") as observers:
        assert not observers
    assert "omnidrop-live[otel]" in caplog.text
