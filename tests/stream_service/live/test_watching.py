"""What an operator sees of one spoken question: metrics that move, spans, log lines, the administrator's report."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import aclosing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from clients.python import Api, Playback, Programme, Publisher, ServerProblem, Source, Speech, Subscription, read_sound
from tests.stream_service.live.conftest import Server

pytestmark = [pytest.mark.default, pytest.mark.timeout(300)]

DEMO = Path(__file__).parents[3] / "clients" / "web" / "demo.mp4"
TOKEN = "a-token-of-the-operator"
MOVED = [
    "omnidrop_windows_fused_total",
    *(f'omnidrop_tokens_{what}_total{{modality="{one}"}}' for what in ("seen", "kept") for one in ("video", "audio")),
    "omnidrop_tokens_evicted_total",
    "omnidrop_coverage_count",
    *(f"omnidrop_{what}_seconds_sum" for what in ("encode", "fuse", "window_wait", "ttft")),
    *(
        f'omnidrop_answer_part_seconds_sum{{part="{one}"}}'
        for one in ("hang_over", "queue", "guide", "decode", "total")
    ),
    'omnidrop_answer_part_seconds_count{part="transcribe"}',
    "omnidrop_tokens_generated_total",
    'omnidrop_questions_total{source="speech"}',
    'omnidrop_utterances_total{outcome="heard"}',
    "omnidrop_source_frames_total",
    "omnidrop_source_packets_total",
    'omnidrop_errors_total{code="unauthorised"}',
    'omnidrop_errors_total{code="not_found"}',
]
"""Metrics that one spoken question, one stranger and one wrong address move."""


class Collector:
    """Takes spans as an OpenTelemetry collector does, by OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.services: set[str] = set()
        taking = self._take

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                taking(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _take(self, body: bytes) -> None:
        for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.services |= {one.value.string_value for one in sent.resource.attributes if one.key == "service.name"}
            self.spans += [span for scope in sent.scope_spans for span in scope.spans]


@pytest.fixture
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.close()


@pytest.fixture
def watched(model: str, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    settings = {"server__tokens": [TOKEN], "server__log_format": "json", "engine__budget": 128}
    with Server(model, log="info", **settings) as server:
        yield server


@pytest.fixture
def speech(tmp_path: Path) -> Speech:
    """A question, four seconds into the clip."""
    path = tmp_path / "question.wav"
    subprocess.run(["flite", "-voice", "rms", "-t", "What colour is the circle?", "-o", path], check=True)
    return Speech(4.0, read_sound(str(path)))


async def test_one_spoken_question_is_seen_everywhere(watched: Server, collector: Collector, speech: Speech) -> None:
    playback = Playback(Programme(Source(str(DEMO)), [speech]))
    async with Api(watched.url, TOKEN) as api, Api(watched.url) as stranger:

        async def metrics() -> dict[str, float]:
            lines = (await api.request("GET", "/metrics")).text.splitlines()
            return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}

        before = await metrics()
        async with (
            Publisher(api, playback, name="door") as publisher,
            aclosing(aiter(Subscription(api, publisher.session))) as events,
        ):
            done = await anext(event async for event in events if event["type"] == "answer.done")
            during = await metrics()
            (session,) = (await api.request("GET", "/v1/admin/report")).json()["sessions"]
        for who, path, code in ((stranger, "/metrics", 401), (api, "/v1/nowhere", 404)):
            with pytest.raises(ServerProblem) as refused:
                await who.request("GET", path)
            assert refused.value.status == code
        after = await metrics()
    assert [name for name in MOVED if before.get(name) or not after.get(name)] == []
    assert (during['omnidrop_sessions{state="live"}'], after['omnidrop_sessions{state="live"}']) == (1, 0)
    assert (during["omnidrop_subscribers"], after["omnidrop_subscribers"]) == (1, 0)
    assert during["omnidrop_engine_resident_bytes"] > 1e7
    assert (session["name"], session["state"], session["budget"]) == ("door", "live", 128)
    assert (session["answer"], session["open_questions"]) == (done["text"], 0)
    assert 0 < session["store_tokens"] <= 128
    assert 0 <= session["lag"] < session["at"]

    assert await asyncio.to_thread(watched.stop) == 0, "".join(watched.output)
    (root,) = (span for span in collector.spans if not span.parent_span_id)
    assert collector.services == {"omnidrop-live"}
    told = {one.key: one.value for one in root.attributes}
    assert (root.name, root.status.code) == ("question", Status.STATUS_CODE_UNSET)
    assert (told["session.id"].string_value, told["omnidrop.source"].string_value) == (done["session"], "speech")
    assert told["omnidrop.retention"].double_value == pytest.approx(done["retention"])
    children = {span.name: span for span in collector.spans if span.parent_span_id == root.span_id}
    assert set(children) == {"hang_over", "transcribe", "queue", "encode", "fuse", "guide", "decode"}
    for name, span in children.items():
        took_ms = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
        assert took_ms == pytest.approx(done["timings_ms"][name], abs=0.1), name
    first = children["hang_over"].start_time_unix_nano
    assert first == root.start_time_unix_nano

    lines = [json.loads(line) for line in watched.output if line.startswith("{")]
    assert len(lines) >= len(watched.output) - 1, "all but the address"
    of_it = [line for line in lines if line.get("question") == done["question"]]
    assert [line["message"] for line in of_it] == ["question.accepted", "answer.started", "answer.done"]
    assert {line["session"] for line in of_it} == {done["session"]}
    written = "".join(watched.output)
    words = re.findall(r"\w{4,}", done["text"])
    assert TOKEN not in written
    assert not [word for word in (*words, "circle") if word in written]
