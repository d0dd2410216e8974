"""The events of the wire, one class a ``type``; the discriminated union :data:`Event` is all of them.

These classes are the contract with every client: the OpenAPI and AsyncAPI documents are generated from them, so a
field's description is written for the person who reads it there.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from stream_service.types import CancelReason, QuestionSource, SessionEnd, TalkMode

Counts = Annotated[list[int], Field(description="One count a decoder layer, layer 0 first.")]


class Wire(BaseModel):
    """Base of everything that is serialised: immutable, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Envelope(Wire):
    """What every event carries."""

    seq: int = Field(
        ge=0,
        description="Number in the session's log: 1 for the first event, without gaps. 0 marks an error that concerns "
        "this connection only and is not in the log.",
    )
    session: str = Field(description="Id of the session.")
    at: float = Field(ge=0, description="Seconds of the stream's own clock that the event refers to.")
    wall: AwareDatetime = Field(description="When the server recorded it (RFC 3339, UTC).")


class Tokens(Wire):
    """Tokens by modality."""

    video: int = Field(ge=0, description="Video tokens.")
    audio: int = Field(ge=0, description="Audio tokens.")


class Model(Wire):
    """The model that answers, as it runs here; in session.started, as the session's publisher chose."""

    model: str = Field(description="Name or path of the model.")
    device: str = Field(description="Where it runs, e.g. cpu or cuda:0.")
    layers: int = Field(description="Decoder layers L.")
    fusion_depth: int = Field(description="Layers run as media arrives, F; the others run when a question is asked.")
    frame_size: tuple[int, int] = Field(description="Width and height of the frames that the model sees, pixels.")
    budget: int = Field(description="Audiovisual tokens that a session may keep.")
    deep_share: float = Field(description="Mean share of these that take part in layers F to L-1 of an answer.")


class SessionConfig(Wire):
    """How this session behaves."""

    name: str | None = Field(description="The stable name it was published under, if any.")
    talk: TalkMode = Field(description="How its microphone becomes questions.")
    barge_in: Literal["interrupt", "queue", "refuse"] = Field(description="What a question during an answer does.")
    grace_s: float = Field(description="Seconds that a lost source has to come back.")


class SessionStarted(Envelope):
    type: Literal["session.started"] = "session.started"
    config: SessionConfig
    model: Model


class SessionClosed(Envelope):
    type: Literal["session.closed"] = "session.closed"
    code: SessionEnd = Field(
        description="Why. client: someone closed it; source_ended: its source said goodbye; source_lost: it did not "
        "come back within the grace time; idle: no media came; not_negotiated, not_resumed: it could not begin, or go "
        "on after a restart; shutdown: the server stopped; internal: a mistake of the server."
    )
    reason: str = Field(description="Why, in words. No event follows.")


class SessionChanged(Envelope):
    """The session's budget was changed. A smaller one has taken effect, as store.evicted tells; with a greater one more
    is kept from now on, and nothing comes back."""

    type: Literal["session.changed"] = "session.changed"
    budget: int = Field(description="Audiovisual tokens that the session may keep from now on.")
    session_bytes: int = Field(description="Memory that it then takes at most, in bytes, as computed in advance.")
    store_tokens: int = Field(description="Audiovisual tokens in its memory now.")
    coverage: float = Field(description="Share of all past windows still represented there, 0 to 1.")


class WindowFused(Envelope):
    """A window of media became part of the session's memory."""

    type: Literal["window.fused"] = "window.fused"
    index: int = Field(ge=0, description="Number of the window in the session.")
    start: float = Field(description="Stream seconds of its beginning.")
    end: float = Field(description="Stream seconds of its end.")
    seen: Tokens = Field(description="Tokens that the encoders made of it.")
    kept: Tokens = Field(description="Tokens left after compression within each modality.")
    encode_ms: float = Field(description="Time to encode it, milliseconds.")
    fuse_ms: float = Field(description="Time to fuse it, milliseconds.")
    store_tokens: int = Field(description="Audiovisual tokens in the session's memory now.")
    coverage: float = Field(description="Share of all past windows still represented there, 0 to 1.")


class SpeechStarted(Envelope):
    type: Literal["speech.started"] = "speech.started"


class SpeechStopped(Envelope):
    type: Literal["speech.stopped"] = "speech.stopped"
    duration: float = Field(ge=0, description="Seconds of speech.")
    dropped: str | None = Field(default=None, description="Why it did not become a question; null when it goes on.")


class QuestionAccepted(Envelope):
    """A question was taken; ``at`` is where it cut the stream."""

    type: Literal["question.accepted"] = "question.accepted"
    question: str = Field(description="Id of the question.")
    text: str = Field(
        description="Its words; empty when the speech itself was asked: then question.transcribed may tell them later."
    )
    source: QuestionSource = Field(description="How it came.")
    confidence: float | None = Field(description="Confidence of the transcript, 0 to 1; null for typed questions.")
    timings_ms: dict[str, float] = Field(
        description="Time spent so far: hang_over (last voiced sample to end of turn) and transcribe, the latter not "
        "when the speech itself was asked; empty when typed."
    )


class QuestionTranscribed(Envelope):
    """The words of a question that the speech itself has asked, to be read. It may come during or after the answer, and
    not at all when they were not understood."""

    type: Literal["question.transcribed"] = "question.transcribed"
    question: str = Field(description="Id of the question.")
    text: str = Field(description="What the recogniser heard; the model was not given it.")
    confidence: float | None = Field(description="Confidence of the transcript, 0 to 1.")


class AnswerStarted(Envelope):
    type: Literal["answer.started"] = "answer.started"
    question: str = Field(description="Id of the question.")
    ttft_ms: float = Field(
        description="Milliseconds from the end of the question (last voiced sample, or its receipt) to the first text."
    )


class AnswerDelta(Envelope):
    type: Literal["answer.delta"] = "answer.delta"
    question: str = Field(description="Id of the question.")
    text: str = Field(description="Text that follows what was sent before.")


class Survivors(Wire):
    """How much of one past window took part in an answer, layer by layer."""

    start: float = Field(description="Stream seconds of the window's beginning.")
    end: float = Field(description="Stream seconds of its end.")
    video: Counts
    audio: Counts


class AnswerDone(Envelope):
    type: Literal["answer.done"] = "answer.done"
    question: str = Field(description="Id of the question.")
    text: str = Field(description="The whole answer.")
    finish_reason: str = Field(description="stop: the model ended it; length: the limit did.")
    timings_ms: dict[str, float] = Field(
        description="hang_over and transcribe (spoken questions; the latter not when the speech itself was asked), "
        "queue, encode, fuse, guide, decode, total."
    )
    tokens_per_layer: Counts = Field(description="Audiovisual tokens that entered each layer.")
    survivors: list[Survivors] = Field(description="The same by past window.")
    retention: float = Field(
        description="Mean over layers of the share of audiovisual tokens that took part, of those before compression."
    )
    deep_share: float = Field(description="Mean share of the memory that took part in layers F to L-1.")
    generated: int = Field(description="Tokens of the answer.")


class AnswerRestarted(Envelope):
    """The model was lost while the question was open. It is asked again, once: another answer.started may follow."""

    type: Literal["answer.restarted"] = "answer.restarted"
    question: str = Field(description="Id of the question.")
    text: str = Field(description="What had been published of the answer, which is void: the answer begins anew.")


class AnswerCancelled(Envelope):
    type: Literal["answer.cancelled"] = "answer.cancelled"
    question: str = Field(description="Id of the question.")
    reason: CancelReason = Field(description="Why it ended early.")
    text: str = Field(description="What had been published of the answer.")


class SourceLost(Envelope):
    type: Literal["source.lost"] = "source.lost"
    since: float = Field(description="Stream seconds of the last media.")
    grace_left: float = Field(description="Seconds that the source has to come back before the session closes.")
    reason: str = Field(description="Why, in words.")


class SourceBack(Envelope):
    type: Literal["source.back"] = "source.back"
    gap: float = Field(description="Seconds without a source.")


class LostWindows(Wire):
    """Consecutive windows, by their index."""

    first: int = Field(ge=0, description="Index of the first one.")
    last: int = Field(ge=0, description="Index of the last one.")


class EngineRestarted(Envelope):
    """The engine was replaced: the session's memory is rebuilt from the windows still held, as window.fused tells."""

    type: Literal["engine.restarted"] = "engine.restarted"
    windows_refed: int = Field(description="Past windows that the new engine is given again.")
    windows_lost: int = Field(description="Past windows that were no longer held, and are not in the new memory.")
    lost: list[LostWindows] = Field(description="Which ones: those given up since the last engine.restarted.")


class StoreEvicted(Envelope):
    type: Literal["store.evicted"] = "store.evicted"
    tokens: int = Field(description="Tokens that left the memory.")
    chunks_thinned: int = Field(description="Past windows that left it altogether.")
    coverage: float = Field(description="Share of all past windows still represented, 0 to 1.")


class Overload(Envelope):
    """The server fell behind and took a stated step, or left it again (action ``recovered``)."""

    type: Literal["overload"] = "overload"
    action: str = Field(description="What it does about it.")
    windows: int = Field(description="Windows affected.")
    frames: int = Field(description="Frames affected.")


class Error(Envelope):
    type: Literal["error"] = "error"
    code: str = Field(description="Stable name of the kind of error, the same as in problem documents.")
    message: str = Field(description="What went wrong.")
    remedy: str = Field(description="What the client can do.")
    question: str | None = Field(default=None, description="The question that it ended, if any.")
    resume_after: int | None = Field(
        default=None, description="Where a subscription that was refused for its `after` can begin instead."
    )


Event = Annotated[
    SessionStarted
    | SessionChanged
    | SessionClosed
    | WindowFused
    | SpeechStarted
    | SpeechStopped
    | QuestionAccepted
    | QuestionTranscribed
    | AnswerStarted
    | AnswerDelta
    | AnswerDone
    | AnswerRestarted
    | AnswerCancelled
    | SourceLost
    | SourceBack
    | EngineRestarted
    | StoreEvicted
    | Overload
    | Error,
    Field(discriminator="type"),
]
"""Any event of the wire, told apart by its ``type``."""

EVENT: TypeAdapter[Event] = TypeAdapter(Event)
"""Parses and describes events: ``EVENT.validate_json(line)``, ``EVENT.json_schema()``."""
