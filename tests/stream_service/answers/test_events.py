from datetime import UTC, datetime
from typing import get_args

import pytest
from pydantic import ValidationError

from stream_service.answers import events

WIRE = {
    "session.started": {"config", "model"},
    "session.closed": {"code", "reason"},
    "window.fused": {
        "index", "start", "end", "seen", "kept", "encode_ms", "fuse_ms", "store_tokens", "coverage",
    },
    "speech.started": set(),
    "speech.stopped": {"duration", "dropped"},
    "question.accepted": {"question", "text", "source", "confidence", "timings_ms"},
    "question.transcribed": {"question", "text", "confidence"},
    "answer.started": {"question", "ttft_ms"},
    "answer.delta": {"question", "text"},
    "answer.done": {
        "question", "text", "finish_reason", "timings_ms", "tokens_per_layer", "survivors", "retention", "deep_share",
        "generated",
    },
    "answer.restarted": {"question", "text"},
    "answer.cancelled": {"question", "reason", "text"},
    "source.lost": {"since", "grace_left", "reason"},
    "source.back": {"gap"},
    "engine.restarted": {"windows_refed", "windows_lost", "lost"},
    "session.changed": {"budget", "session_bytes", "store_tokens", "coverage"},
    "store.evicted": {"tokens", "chunks_thinned", "coverage"},
    "overload": {"action", "windows", "frames"},
    "error": {"code", "message", "remedy", "question", "resume_after"},
}  # fmt: skip


def members() -> list[type[events.Envelope]]:
    union, _ = get_args(events.Event)
    return list(get_args(union))


def test_the_events_are_those_of_the_wire_and_carry_what_it_says() -> None:
    envelope = {"seq", "session", "at", "wall", "type"}
    carried = {kind.model_fields["type"].default: set(kind.model_fields) - envelope for kind in members()}
    assert carried == WIRE


def test_every_field_is_described_for_the_documents_made_of_it() -> None:
    for kind in [*members(), events.SessionConfig, events.Model, events.Tokens, events.Survivors, events.LostWindows]:
        for name, field in kind.model_fields.items():
            if name not in {"type", "config", "model"}:
                described = field.description or any(getattr(meta, "description", None) for meta in field.metadata)
                assert described, f"{kind.__name__}.{name}"


def test_an_event_survives_the_wire() -> None:
    wall = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    sent = events.SourceBack(seq=7, session="s", at=12.5, wall=wall, gap=3.25)
    line = sent.model_dump_json()
    assert '"wall":"2026-01-02T03:04:05.678000Z"' in line
    assert events.EVENT.validate_json(line) == sent


def test_an_unknown_type_or_field_is_refused() -> None:
    common = '"seq":1,"session":"s","at":0,"wall":"2026-01-02T03:04:05Z"'
    with pytest.raises(ValidationError):
        events.EVENT.validate_json(f'{{"type":"answer.maybe",{common}}}')
    with pytest.raises(ValidationError):
        events.EVENT.validate_json(f'{{"type":"speech.started",{common},"loud":true}}')
