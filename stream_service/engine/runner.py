"""Calls into the model, with the service's nouns outside and the pruner's inside. One item refused spoils no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from pruner import (
    Ask,
    BudgetError,
    FuseReport,
    InputError,
    LiveModel,
    PrunerError,
    RawWindow,
    ScheduleError,
    StateError,
    Turn,
)
from pruner import Step as Token
from stream_service.engine.degradation import Step
from stream_service.engine.sessions import Answer, Session
from stream_service.engine.work import WindowWork
from stream_service.errors import Conflict, InvalidInput
from stream_service.types import (
    SAMPLE_RATE,
    AnswerDone,
    ChunkSurvivors,
    EngineEvent,
    EngineFault,
    ModalityCounts,
    Overloaded,
    Question,
    StoreEvicted,
    WindowFused,
)

STRONGER_COMPRESSION = 0.5
"""Factor on the shares that intra-modality compression keeps, once the engine is behind."""
PATCH_FRAMES = 2
"""Frames of a temporal patch: the least that the vision encoder takes."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Runner:
    """Runs batches on the model and tells ``emit`` what came of them.

    A :class:`pruner.PrunerError` means that the pruner refused an item and changed nothing: it becomes an
    :class:`EngineFault` of that session. Anything else is a defect or a broken device and ends the process.
    """

    def __init__(self, model: LiveModel, clock: Callable[[], float], emit: Callable[[EngineEvent], None]) -> None:
        self._model = model
        self._clock = clock
        self._emit = emit

    def encode(self, items: Iterable[tuple[Session, WindowWork]], step: Step) -> None:
        """Encodes what is not encoded yet, and lets go of the media."""
        began = self._clock()
        fresh = [(session, work) for session, work in items if work.encoded is None]
        raw = [(session.conversation, raw_window(work, step)) for session, work in fresh]
        results = _each(self._model.encode, raw)
        took = ms(began, self._clock())
        for (session, work), result in zip(fresh, results, strict=True):
            if isinstance(result, PrunerError):
                self._emit(fault(session.name, result))
            else:
                work.encoded = result
            if step is not Step.NONE:
                self._emit(touched(work, step))
            work.encode_ms = took
            work.window = replace(work.window, frames=None, samples=None)

    def fuse(self, items: Iterable[tuple[Session, WindowWork]]) -> None:
        """Fuses encoded windows into their sessions' stores."""
        began = self._clock()
        ready = [(session, work, work.encoded) for session, work in items if work.encoded is not None]
        results = _each(self._model.fuse, [(session.conversation, encoded) for session, _, encoded in ready])
        now = self._clock()
        took = ms(began, now)
        for (session, work, _), result in zip(ready, results, strict=True):
            if isinstance(result, PrunerError):
                self._emit(fault(session.name, result))
            else:
                for event in fused(work, result, took, now):
                    self._emit(event)

    def guide(self, asked: Iterable[tuple[Session, Question]]) -> list[Turn | PrunerError]:
        """A turn for each question, or the error by which it was refused."""
        asks = [
            Ask(session.conversation, question.text, session.options, speech=question.speech)
            for session, question in asked
        ]
        return _each(self._model.guide, asks)

    def token(self, answers: Sequence[Answer]) -> list[Token | PrunerError]:
        """One more token of each running answer."""
        return _each(self._model.step, [answer.turn for answer in answers])

    def commit(self, answer: Answer, *, whole: bool) -> None:
        """Writes the answer into the conversation: whole, or only what was published of it."""
        self._model.commit(answer.turn, published=None if whole else answer.published)


def _each(call: Callable[[Sequence[_Item]], list[_Result]], items: Sequence[_Item]) -> list[_Result | PrunerError]:
    """One result or error per item: in one batch, or one by one when the batch is refused for the sake of some."""
    if not items:
        return []
    try:
        return list(call(items))
    except PrunerError as error:
        if len(items) == 1:
            return [error]
    return [result for item in items for result in _each(call, [item])]


def ms(begin: float, end: float) -> float:
    """Milliseconds between two moments in seconds."""
    return (end - begin) * 1e3


def sentence(words: str) -> str:
    """The pruner's remedies as sentences."""
    return words[:1].upper() + words[1:].rstrip(".") + "."


def raw_window(work: WindowWork, step: Step) -> RawWindow:
    """The media handed to the encoders, less what the step of degradation gives up."""
    window = work.window
    frames, samples = window.frames, window.samples
    return RawWindow(
        window.start,
        frames if frames is None else frames[: len(frames) - left_out(work, step)],
        samples,
        new_segment=window.new_segment or work.after_gap,
        compression=STRONGER_COMPRESSION if step >= Step.COMPRESSION else 1.0,
        padding=0 if samples is None else len(samples) - round((window.end - window.start) * SAMPLE_RATE),
    )


def left_out(work: WindowWork, step: Step) -> int:
    """Frames of a window that ``step`` gives up: the second half of a whole one; a closing window stays as it is."""
    frames = work.window.frames
    if step < Step.FRAMES or frames is None or len(frames) <= PATCH_FRAMES:
        return 0
    return len(frames) // 2


def touched(work: WindowWork, step: Step) -> Overloaded:
    """What ``step`` gave up of a window."""
    frames = left_out(work, step)
    action = Step.FRAMES if frames else Step.COMPRESSION
    return Overloaded(work.session, action.action, windows=1, frames=frames)


def fused(work: WindowWork, report: FuseReport, fuse_ms: float, now: float) -> Iterator[EngineEvent]:
    """What to tell of a window that is fused ``now`` (monotonic seconds)."""
    window = work.window
    yield WindowFused(
        window.session,
        window.index,
        window.start,
        window.end,
        seen=ModalityCounts(report.seen.video, report.seen.audio),
        kept=ModalityCounts(report.kept.video, report.kept.audio),
        encode_ms=work.encode_ms,
        fuse_ms=fuse_ms,
        store_tokens=report.store_tokens,
        coverage=report.coverage,
        wait_ms=max(0.0, ms(work.arrived, now) - work.encode_ms - fuse_ms),
        shared=work.encoded.shared if work.encoded is not None else 0,
    )
    if report.evicted:
        yield StoreEvicted(window.session, report.evicted, report.thinned_chunks, report.coverage)


def answered(answer: Answer, reason: str) -> AnswerDone:
    """What to tell of a finished answer, before its turn is committed."""
    report = answer.turn.report()
    question = answer.work.question
    survivors = (
        ChunkSurvivors(chunk.start, chunk.end, tuple(chunk.video), tuple(chunk.audio)) for chunk in report.survivors
    )
    return AnswerDone(
        question.session,
        question.id,
        answer.text,
        finish_reason=reason,
        timings_ms=answer.timings_ms,
        tokens_per_layer=tuple(report.tokens_per_layer),
        survivors=tuple(survivors),
        retention=report.retention,
        deep_share=report.deep_share,
        generated=report.generated,
    )


def fault(session: str, error: PrunerError, question: str | None = None) -> EngineFault:
    """A refusal by the pruner as an event."""
    refused = refusal(error)
    return EngineFault(session, refused.code, refused.message, refused.remedy, question)


def refusal(error: PrunerError) -> InvalidInput | Conflict:
    """A refusal by the pruner as an error of the service: what was wrong with which field, and what is possible."""
    match error:
        case InputError():
            return InvalidInput(f"{error.field} {error.problem}", remedy=sentence(error.remedy), field=error.field)
        case StateError():
            return Conflict(str(error), remedy=sentence(error.remedy))
        case ScheduleError():
            low, high = error.reachable
            remedy = f"Ask for {error.what} between {low:.3f} and {high:.3f}."
            return InvalidInput(str(error), remedy=remedy, field=error.what)
        case BudgetError():
            return InvalidInput(str(error), remedy=f"Ask for {error.needed} tokens or more.", field="budget")
        case _:
            return InvalidInput(str(error), remedy="Start a new session.")
